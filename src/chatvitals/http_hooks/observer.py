"""What the hooks call: an observer of sends, and one send between its begin and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatvitals import context
from chatvitals.events import Send
from chatvitals.runtime import spans
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.context import ContactIds
    from chatvitals.events import Actor, SendKind
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.whatsapp.send_requests import Attempt


class SendContext(NamedTuple):
    """What was known about a send when it began, in the context of its caller."""

    number: str
    kind: SendKind
    tagged: bool
    actor: Actor
    handled: ContactIds | None  # whom the send is to, where that contact's message is being handled


class SendObserver:
    """Turns a client's requests into `Send` events; nothing here ever raises.

    Args:
        emit: takes each event.
        guard: counts what goes wrong.
        clock: returns the time in Unix seconds.
        default_number: the business number of sends whose address names none.

    """

    __slots__ = ("clock", "default_number", "emit", "guard")

    def __init__(
        self, emit: Callable[[Send], None], guard: ErrorGuard, clock: Callable[[], float], default_number: str = ""
    ) -> None:
        self.emit = emit
        self.guard = guard
        self.clock = clock
        self.default_number = default_number

    def begin(self, method: str, url: str, body: object) -> Pending | None:
        """Return the send that this request is, or None; call it where the bot makes the call, before it is made."""
        try:
            attempt = send_requests.recognise(method, url, body)
            if attempt is not None:
                return Pending(self, attempt, _told(attempt, self.default_number), self.clock())
        except Exception as error:  # noqa: BLE001 - a fence; `with guard` would cost every other request 0.3 µs
            self.guard.report("clients", error)
        return None


class Pending:
    """A send that is under way. The first of `finish` and `failed` counts; neither ever raises."""

    __slots__ = ("_answered", "_attempt", "_done", "_observer", "_span", "_started", "_told")

    def __init__(self, observer: SendObserver, attempt: Attempt, told: SendContext, started: float) -> None:
        self._observer = observer
        self._attempt = attempt
        self._told = told
        self._started = started
        self._answered: float | None = None
        self._done = False
        self._span = spans.start_send(told.number, told.kind, attempt.template)

    @property
    def guard(self) -> ErrorGuard:
        """The guard of the observer."""
        return self._observer.guard

    def answered(self) -> None:
        """Note that the answer is in; for clients that give its body only later."""
        with self.guard("clients"):
            self._answered = self._observer.clock()

    def finish(self, status: int, content: bytes | None) -> None:
        """Count the send by its answer.

        Args:
            status: the HTTP status.
            content: the body, or None where the bot has not read it.

        """
        with self.guard("clients"):
            answer = send_requests.read_answer(content)
            if 200 <= status < 300:
                self._emit(accepted=True, code="", answer=answer)
            else:
                self._emit(accepted=False, code=answer.code or str(int(status)), answer=send_requests.SendAnswer())

    def failed(self, error: BaseException) -> None:
        """Count the send as rejected by an exception of the client."""
        with self.guard("clients"):
            status = send_requests.http_status(error)
            if status is not None:
                self.finish(status, None)
            else:
                self._emit(accepted=False, code=send_requests.transport_error(error), answer=send_requests.SendAnswer())

    def _emit(self, *, accepted: bool, code: str, answer: send_requests.SendAnswer) -> None:
        if self._done:
            return
        self._done = True
        spans.end_send(self._span, code)
        attempt, told = self._attempt, self._told
        received = self._observer.clock() if self._answered is None else self._answered
        phone, user = attempt.phone, attempt.user
        if told.handled is not None:
            _, phone, user = told.handled
        elif phone or user:  # a group or a mark names no contact, whatever the answer says
            # `to` may spell a number that webhooks spell differently (a mobile 9 or 1): the answer's id is theirs.
            phone, user = answer.phone or phone, answer.user or user
        self._observer.emit(
            Send(
                phone_number_id=told.number,
                wa_id=phone,
                user_id=user,
                received=received,
                kind=told.kind,
                accepted=accepted,
                id=answer.id,
                code=code,
                seconds=max(0.0, received - self._started),  # the clock may have been set back meanwhile
                actor=told.actor,
                template=attempt.template,
                language=attempt.language,
                tagged=told.tagged,
            )
        )


def _told(attempt: Attempt, default_number: str) -> SendContext:
    """Decide number, kind and actor of a send from its body, its context and the code (conversations/README.md 2)."""
    handled = context.find(attempt.number, attempt.phone, attempt.user)
    tag = context.tag()
    number = attempt.number
    if not number:
        about = handled
        if about is None and not (attempt.phone or attempt.user):  # a mark names no contact, yet is about this one
            about = context.current()
        number = about.phone_number_id if about is not None else default_number
    kind: SendKind
    tagged = False
    if attempt.mark or attempt.type == "reaction":
        kind = "other"
    elif attempt.marketing:
        kind = "campaign"
    elif tag.kind is not None:
        kind, tagged = tag.kind, True
    elif attempt.type == "template" and handled is None:
        kind = "campaign"
    else:
        kind = "reply"
    return SendContext(number, kind, tagged, tag.actor or "bot", handled)
