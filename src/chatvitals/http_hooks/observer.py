"""The observer that the hooks call, and one send between its start and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from chatvitals import context
from chatvitals.events import Send
from chatvitals.runtime import spans
from chatvitals.whatsapp import send_requests
from chatvitals.whatsapp.contact_matching import find
from chatvitals.whatsapp.enums import ADDS_NO_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.context import ContactIds, Tag
    from chatvitals.events import SendKind
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.whatsapp.send_requests import Attempt


_MOST_HANDLED: Final = 8  # contacts of a batch that a send names
_LONGEST_NAME: Final = 64
UNREAD: Final = (
    "A POST to the messages of a number has a body that can be read only once, so chatvitals does not read it. If it "
    "sends a message of WhatsApp, only its statuses count: pass the body as json=, text or bytes, or call "
    "vitals.record_reply() afterwards."
)
HELD: Final = (
    "WhatsApp has accepted {} but holds its messages back until it has assessed their quality. After bad "
    "feedback it drops them with the error 132015 and pauses the template. Send no more of them until they are "
    "delivered (chatvitals_template_messages_total)."
)

REPLACED: Final = (
    "chatvitals.init() was called again in this process, with another store. All sends of this process now count in "
    "the new store only. Use one Vitals for all apps, or call close() on the other one. If both must stay, set "
    "hooks=False and give each app's HTTP client to vitals.instrument_client()."
)


class SendContext(msgspec.Struct, frozen=True):
    """The context of a send's caller. It classifies the send once the answer is in."""

    tag: Tag
    contacts: tuple[ContactIds, ...]
    trace: bytes = b""
    """The context of the span of the webhook that is being handled."""


class SendObserver:
    """Converter of a client's requests to `Send` events. It never raises.

    Args:
        emit: receives each event.
        guard: counts errors.
        clock: function that returns the time in Unix seconds.
        default_number: the business number of sends whose address has none.
        store: the URL of the store that counts the sends. Empty for a store that no other observer shares.

    """

    __slots__ = ("clock", "default_number", "emit", "guard", "seen", "store")

    def __init__(
        self,
        emit: Callable[[Send], None],
        guard: ErrorGuard,
        clock: Callable[[], float],
        default_number: str = "",
        *,
        store: str = "",
    ) -> None:
        self.emit: Callable[[Send], None] = emit
        self.guard: ErrorGuard = guard
        self.clock: Callable[[], float] = clock
        self.default_number: str = default_number
        self.store: str = store
        self.seen: int = 0
        """Number of sends that this process has seen."""

    def begin(self, method: str, url: str, body: object) -> Pending | None:
        """Return the send in this request, or None. Call it in the bot's context, before the request is made."""
        try:
            attempt = send_requests.recognise(method, url, body)
            if attempt is not None:
                told = SendContext(context.tag(), context.handled(), context.handled_trace())
                return Pending(self, attempt, told, self.clock())
        except Exception as error:  # noqa: BLE001 - `with guard` would cost every other request 0.3 µs
            self.guard.report("clients", error)
        return None

    def unread(self, url: str) -> UnreadSend | None:
        """Advise once on a stream that goes to a number's endpoint. Other streams are ignored."""
        if not send_requests.names_number(url):
            return None
        self.guard.advice.once(UNREAD)
        return _UNREAD_SEND


class UnreadSend:
    """A request whose body is a stream. It covers the calls of other clients below it, so that it is noticed once."""

    __slots__ = ()

    counts: Literal[False] = False
    """Whether its answer is looked at."""

    def enter(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def failed(self, error: BaseException) -> None:
        """Do nothing."""


_UNREAD_SEND: Final = UnreadSend()


class Pending:
    """A send that is under way. The first call of `finish` or `failed` counts it. Neither ever raises."""

    __slots__ = ("_answered", "_attempt", "_done", "_observer", "_span", "_started", "_told")

    counts: Literal[True] = True

    def __init__(self, observer: SendObserver, attempt: Attempt, told: SendContext, started: float) -> None:
        self._observer = observer
        self._attempt = attempt
        self._told = told
        self._started = started
        self._answered: float | None = None
        self._done = False
        number = attempt.number or _number(attempt, told, None) or observer.default_number
        self._span = spans.start_send(number, attempt.template, told.trace)

    @property
    def guard(self) -> ErrorGuard:
        """The guard of the observer."""
        return self._observer.guard

    def enter(self) -> None:
        """Make the span of the send current, so that the client's own span is its child."""
        if self._span is not None:
            self._span.enter()

    def leave(self) -> None:
        """Restore the span that was current before `enter`."""
        if self._span is not None:
            self._span.leave()

    def answered(self) -> None:
        """Record that the answer is in. It is for clients that give its body only later."""
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
            refused = bool(answer.code) and not answer.id  # some proxies answer 200 with WhatsApp's error
            if 200 <= status < 300 and not refused:
                self._emit(accepted=True, code="", answer=answer)
                if answer.held:
                    self._advise_of_hold()
            else:
                self._emit(accepted=False, code=answer.code or str(int(status)), answer=send_requests.SendAnswer())

    def _advise_of_hold(self) -> None:
        """Log once per template that WhatsApp holds its messages. They count as accepted until they fail."""
        name = self._attempt.template[:_LONGEST_NAME]
        template = f"the template {name}" if name else "a template"
        self._observer.guard.advice.once(HELD.format(template), topic=f"held {template}")

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
        self._observer.seen += 1
        attempt, told = self._attempt, self._told
        received = self._observer.clock() if self._answered is None else self._answered
        phone, user, handled = _recipient(attempt, told, answer)
        kind, tagged = _kind(attempt, told.tag, handled)
        undecided = kind == "campaign" and not tagged and not attempt.marketing
        spans.end_send(self._span, kind, code)
        self._observer.emit(
            Send(
                phone_number_id=attempt.number or _number(attempt, told, handled) or self._observer.default_number,
                wa_id=phone,
                user_id=user,
                received=received,
                kind=kind,
                accepted=accepted,
                id=answer.id,
                code=code,
                seconds=max(0.0, received - self._started),  # the clock may have been set back meanwhile
                actor=told.tag.actor or "bot",
                template=attempt.template,
                language=attempt.language,
                tagged=tagged,
                trace=b"" if self._span is None else spans.packed(self._span.span),
                handled=told.contacts[:_MOST_HANDLED] if undecided else (),
            )
        )


def _recipient(
    attempt: Attempt, told: SendContext, answer: send_requests.SendAnswer
) -> tuple[str, str, ContactIds | None]:
    """Return both ids of the recipient, and the contact if its message is being handled.

    `to` may have another spelling than webhooks, but the answer's id has the same.
    """
    phone, user = attempt.phone, attempt.user
    if not phone and not user:  # a group or a mark names no contact, whatever the answer contains
        return attempt.group, "", None  # all statuses of a group's message name the group, too
    contacts, number = told.contacts, attempt.number
    handled = find(contacts, number, phone, user) or find(contacts, number, answer.phone, answer.user)
    if handled is None:
        return answer.phone or phone, answer.user or user, None
    return handled.wa_id or answer.phone or phone, handled.user_id or answer.user or user, handled


def _number(attempt: Attempt, told: SendContext, handled: ContactIds | None) -> str:
    """Return the business number of a send whose address has none, or the empty string."""
    if handled is None and len(told.contacts) == 1 and not (attempt.phone or attempt.user):
        handled = told.contacts[0]  # a mark names no contact, but it is about the contact being handled
    return "" if handled is None else handled.phone_number_id


def _kind(attempt: Attempt, tag: Tag, handled: ContactIds | None) -> tuple[SendKind, bool]:
    """Return the kind of a send, and whether the code set it (conversations/README.md 2)."""
    if attempt.mark or attempt.type in ADDS_NO_MESSAGE:
        return "other", False
    if tag.kind is not None:
        return tag.kind, True
    if attempt.marketing or (attempt.type == "template" and handled is None):
        return "campaign", False
    return "reply", False
