"""Context variables with the contact that is being handled. They follow handlers, tasks and threads of asyncio."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Protocol  # Literal: msgspec reads the types of a Tag

import msgspec

from chatvitals.runtime import fork_hooks, worker_loops

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class ContactIds(NamedTuple):
    """One person on one business number. An unknown id is the empty string."""

    phone_number_id: str
    wa_id: str
    user_id: str


def named(number: str, person_id: str) -> ContactIds:
    """Return the contact of one id, which is a business-scoped user id (`US.…`) or a phone id."""
    if person_id[2:3] == "." and person_id[:2].isalpha():
        return ContactIds(number, "", person_id)
    return ContactIds(number, person_id, "")


class Source(Protocol):
    """An object that knows the contacts of a webhook."""

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """The contacts whose messages the webhook brought."""

    @property
    def refusal(self) -> str:
        """The reason why the webhook does not count, such as `bad_signature`. It is empty where it counts."""


class Door(Protocol):
    """An integration that watches the request being handled."""

    @property
    def sink(self) -> object:
        """The receiver of the webhook."""

    def signature(self) -> str | None:
        """Return the signature header of the request."""


class Handling(msgspec.Struct, eq=False):
    """The contacts whose messages the current webhook brought. There is one contact, except in batches.

    It is bound before the body has arrived and gets its source afterwards. So every task of the request sees the same
    contacts, whichever task receives the body. The contacts are looked up on first use.

    Tasks and threads that were started meanwhile keep it as long as they work for this webhook. That is until ten
    minutes after its end, and not in a worker that has gone on to the next webhook (tests/safety/README.md 79).
    """

    _contacts: tuple[ContactIds, ...] = ()
    trace: bytes = b""
    """The context of the webhook's span from `spans.packed`. It is empty where nothing is traced."""
    source: Source | None = None
    """The object that knows the contacts, once there is a body."""
    outer: Handling | None = None
    """The handling of the same webhook by another `Vitals`. It serves where this one refuses the webhook."""
    door: Door | None = None
    """The integration that watches the request, until the request has been handled."""
    is_later: bool = False
    """Whether this is a timer's or a scheduler's job, which the webhook has set."""
    _owner: int = 0
    _serial: int = 0
    _ended: float | None = None

    __repr__ = object.__repr__  # ids of people must not show in a traceback

    def __post_init__(self) -> None:
        """Note who works for the webhook."""
        self._owner = _runner()
        _serials.last += 1  # two threads may get the same number, and then each takes the other's for its own
        self._serial = _serials.last

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """The contacts. The tuple is empty where it is not certain which webhook the caller works for."""
        if self._serial != _serials.last and self._is_elsewhere() and not self._is_ours():
            return ()
        source = self.source
        if source is None:
            return self._contacts
        return source.contacts or self._outer_contacts(source)

    @property
    def refusal(self) -> str:
        """The reason why the webhook does not count. It is empty where it counts."""
        refusal = "" if self.source is None else self.source.refusal
        return refusal if self.outer is None or not refusal else self.outer.refusal

    @property
    def ended(self) -> bool:
        """Whether the webhook has been handled."""
        return self._ended is not None

    def end(self) -> None:
        """Record that the webhook has been handled."""
        self._ended = time.monotonic()
        self.door = None

    def disown(self) -> None:
        """Record that another process handles the webhook."""
        self._owner = 0

    def _outer_contacts(self, source: Source) -> tuple[ContactIds, ...]:
        return self.outer.contacts if self.outer is not None and source.refusal else ()

    def _is_elsewhere(self) -> bool:
        """Return whether the caller is not the task or thread that handled the webhook."""
        return self._ended is not None or self._owner != _runner()

    def _is_ours(self) -> bool:
        late = self._ended is not None and time.monotonic() - self._ended > _OUTLIVES
        return not late and not worker_loops.is_within_one()


class _Serials:
    """The serial numbers of handlings, in the order in which they begin."""

    __slots__ = ("__weakref__", "last")

    def __init__(self) -> None:
        self.last = 0

    def before_fork(self) -> None:
        """Do nothing."""

    def after_fork_in_parent(self) -> None:
        """Do nothing."""

    def after_fork_in_child(self) -> None:
        """Leave the inherited handlings to the parent, because a child may be a pool's worker, which serves others."""
        self.last += 1
        handling = _handling.get()
        for _ in range(_MOST_OUTER):
            if handling is None:
                return
            handling.disown()
            handling = handling.outer


class Tag(msgspec.Struct, frozen=True):
    """The tag that the bot's code sets on the sends of a block. None leaves the value to detection."""

    kind: Literal["reply", "campaign", "notice"] | None = None
    actor: Literal["bot", "human"] | None = None


_MOST_OUTER: Final = 16  # integrations around one another, since those in a circle must end
_OUTLIVES: Final = 600.0  # seconds; a task may wait for a language model, but not for days
_serials = _Serials()
_handling: ContextVar[Handling | None] = ContextVar("chatvitals_handling", default=None)
fork_hooks.watch(_serials)
# These are the variable's own methods, because functions would cost as much again on the bot's path.
bound_handling: Final = _handling.get
"""Return the bound handling, or None."""
bind: Final = _handling.set
"""Bind a handling until `unbind` is called with the returned token. It costs less than `bound`."""
reset: Final = _handling.reset
"""Bind the previous value again. It raises ValueError in another context than that of the token, see `unbind`."""
_tag: ContextVar[Tag] = ContextVar("chatvitals_tag", default=Tag())  # noqa: B039 - a frozen struct is immutable


def current() -> ContactIds | None:
    """Return the contact being handled, or None where there is no contact or a batch has several."""
    contacts = handled()
    return contacts[0] if len(contacts) == 1 else None


def handled() -> tuple[ContactIds, ...]:
    """Return all contacts whose messages are being handled."""
    handling = _handling.get()
    return () if handling is None else handling.contacts


def refusal() -> str:
    """Return the reason why the webhook that is being handled does not count, or the empty string."""
    handling = _handling.get()
    return "" if handling is None else handling.refusal


def watched_by(sink: object, signature: Callable[[Any], str | None], request: object) -> Handling | None:
    """Return the handling of the same request by an integration further out for the same receiver, or None.

    A bridge between ASGI and WSGI passes no mark on, but the context. The signature tells whether the request is the
    same. A request without a signature is never taken for the same.

    Args:
        sink: the receiver of the webhook.
        signature: function that returns the signature header of `request`.
        request: the request, or its headers.

    """
    handling = _handling.get()
    for _ in range(_MOST_OUTER):
        if handling is None:
            return None
        door = handling.door
        if door is not None and door.sink is sink:
            own = signature(request)
            return handling if own is not None and own == door.signature() else None
        handling = handling.outer
    return None


def handled_trace() -> bytes:
    """Return the context of the span of the webhook that is being handled, or empty bytes."""
    handling = _handling.get()
    return handling.trace if handling is not None and handling.trace and handling.contacts else b""


def to_hand_on() -> Handling | None:
    """Return the handling that a thread or job started here takes over, or None.

    A thread that has outlived its webhook hands nothing on, because it may belong to a pool or scheduler.
    """
    handling = _handling.get()
    if handling is None or (handling.ended and not _in_task()) or not handling.contacts:
        return None
    return handling


def for_later() -> Handling | None:
    """Return a handling for a timer or a scheduler's job that is set here, or None. It ends with the job.

    A job that sets the next job hands nothing on, because such a chain goes on for days.
    """
    handling = to_hand_on()
    if handling is None or handling.is_later:
        return None
    return Handling(handling.contacts, handling.trace, is_later=True)


@contextmanager
def bound(handling: Handling | None) -> Iterator[None]:
    """Bind `handling` for the body of the `with` statement."""
    token = bind(handling)
    try:
        yield
    finally:
        unbind(token)


def unbind(token: Token[Handling | None]) -> None:
    """Bind the previous value again."""
    try:  # noqa: SIM105 - `suppress` takes a microsecond, and this is on the bot's path
        reset(token)
    except ValueError:
        pass  # the token belongs to another context, which ends with its task


def tag() -> Tag:
    """Return the tag for sends made here."""
    return _tag.get()


@contextmanager
def tagged(tag: Tag) -> Iterator[None]:
    """Apply `tag` to the sends in the body of the `with` statement."""
    token = _tag.set(tag)
    try:
        yield
    finally:
        _tag.reset(token)


def _runner() -> int:
    """Return an id of the running task, or of the thread where there is no task."""
    asyncio = sys.modules.get("asyncio")  # a bot without asyncio does not import it
    # `get_running_loop` raises where there is no loop, which costs more
    loop = None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001
    return threading.get_ident() if asyncio is None or loop is None else id(asyncio.current_task(loop))


def _in_task() -> bool:
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001
