"""Whose message is being handled now: context variables that follow handlers, tasks and threads of asyncio."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol  # Literal: msgspec reads the types of a Tag

from chatvitals.events import Message
from chatvitals.runtime import worker_loops

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatvitals.events import Event


class ContactIds(NamedTuple):
    """One person on one business number, by the raw ids that are known (empty where not)."""

    phone_number_id: str
    wa_id: str
    user_id: str


def named(number: str, person_id: str) -> ContactIds:
    """Return the contact that one id names: a business-scoped user id (`US.…`) or a phone id."""
    if person_id[2:3] == "." and person_id[:2].isalpha():
        return ContactIds(number, "", person_id)
    return ContactIds(number, person_id, "")


class Source(Protocol):
    """What knows whose messages a webhook brought."""

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """Who they are."""

    @property
    def refusal(self) -> str:
        """Why the webhook does not count, such as `bad_signature`; empty where it does."""


class Handling:
    """The contacts whose messages the current webhook brought: one, except in batches.

    It is bound before the body has come and given its source afterwards, so that whichever task receives the body,
    every task of the request sees the same contacts. Who they are is looked up when it is first asked.

    Tasks and threads that were started meanwhile keep it. It is theirs as long as they work for this webhook: for ten
    minutes after its end, and not in a worker that has gone on to the next (tests/safety/README.md 79).
    """

    __slots__ = ("_contacts", "_ended", "_owner", "_serial", "source", "trace")

    def __init__(self, contacts: tuple[ContactIds, ...] = (), trace: bytes = b"") -> None:
        self.source: Source | None = None
        """What knows the contacts, once there is a body."""
        self.trace = trace
        """The context of the webhook's span, as `spans.packed` returns it; empty where nothing is traced."""
        self._contacts = contacts
        self._owner = _runner()
        self._serial = next(_serials)
        self._ended: float | None = None

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """Who they are; nobody where it cannot be known whom the caller works for."""
        if self._serial != _serials.last and self._is_elsewhere() and not self._is_ours():
            return ()
        source = self.source
        return self._contacts if source is None else source.contacts

    @property
    def refusal(self) -> str:
        """Why the webhook does not count; empty where it does."""
        return "" if self.source is None else self.source.refusal

    @property
    def ended(self) -> bool:
        """Whether the webhook has been handled."""
        return self._ended is not None

    def end(self) -> None:
        """Note that the webhook has been handled."""
        self._ended = time.monotonic()

    def _is_elsewhere(self) -> bool:
        """Return whether the caller is another task or thread than the one that handled the webhook."""
        return self._ended is not None or self._owner != _runner()

    def _is_ours(self) -> bool:
        late = self._ended is not None and time.monotonic() - self._ended > _OUTLIVES
        return not late and not worker_loops.is_within_one()


class _Serials:
    """Numbers handlings in the order in which they begin."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0

    def __next__(self) -> int:
        self.last += 1  # two threads may get the same number: then each takes the other's for its own
        return self.last


class Tag(NamedTuple):
    """What the code says about the sends of a block; None leaves it to detection."""

    kind: Literal["reply", "campaign", "notice"] | None = None
    actor: Literal["bot", "human"] | None = None


_OUTLIVES: Final = 600.0  # seconds; a task may wait for a language model, and not for days
_serials = _Serials()
_handling: ContextVar[Handling | None] = ContextVar("chatvitals_handling", default=None)
_tag: ContextVar[Tag] = ContextVar("chatvitals_tag", default=Tag())  # noqa: B039 - a NamedTuple is immutable


def contacts_of(events: Iterable[Event]) -> tuple[ContactIds, ...]:
    """Return the distinct contacts whose messages are among `events`, in order; group messages name none."""
    found: dict[ContactIds, None] = {}
    for event in events:
        if type(event) is Message and not event.group and (event.wa_id or event.user_id):
            found[ContactIds(event.phone_number_id, event.wa_id, event.user_id)] = None
    return tuple(found)


def current() -> ContactIds | None:
    """Return the contact being handled, or None where there is none or a batch leaves it open."""
    contacts = handled()
    return contacts[0] if len(contacts) == 1 else None


def handled() -> tuple[ContactIds, ...]:
    """Return all contacts whose messages are being handled."""
    handling = _handling.get()
    return () if handling is None else handling.contacts


def refusal() -> str:
    """Return why the webhook that is being handled does not count; empty where it does, or where there is none."""
    handling = _handling.get()
    return "" if handling is None else handling.refusal


def handled_trace() -> bytes:
    """Return the context of the span of the webhook that is being handled, or nothing."""
    handling = _handling.get()
    return handling.trace if handling is not None and handling.trace and handling.contacts else b""


def to_hand_on() -> Handling | None:
    """Return what a thread or job that is started here takes over, or None.

    A thread that has outlived its webhook hands nothing on: it may belong to a pool or scheduler.
    """
    handling = _handling.get()
    if handling is None or (handling.ended and not _in_task()) or not handling.contacts:
        return None
    return handling


@contextmanager
def bound(handling: Handling | None) -> Iterator[None]:
    """Bind `handling` for the body of the `with` statement."""
    token = bind(handling)
    try:
        yield
    finally:
        unbind(token)


def bind(handling: Handling | None) -> Token[Handling | None]:
    """Bind `handling` until `unbind` is called with what this returns, as `bound` does at less cost."""
    return _handling.set(handling)


def unbind(token: Token[Handling | None]) -> None:
    """Bind what was bound before."""
    with suppress(ValueError):  # left in another context than it was entered in: that one ends with its task
        _handling.reset(token)


def tag() -> Tag:
    """Return what the code says about sends made here."""
    return _tag.get()


@contextmanager
def tagged(tag: Tag) -> Iterator[None]:
    """Say `tag` about the sends made in the body of the `with` statement."""
    token = _tag.set(tag)
    try:
        yield
    finally:
        _tag.reset(token)


def _runner() -> int:
    """Return what tells the running task, or the thread where there is none, from others."""
    return id(sys.modules["asyncio"].current_task()) if _in_task() else threading.get_ident()


def _in_task() -> bool:
    asyncio = sys.modules.get("asyncio")
    # `get_running_loop` would raise where there is none, which costs more
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001
