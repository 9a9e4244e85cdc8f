"""Whose message is being handled now: context variables that follow handlers, tasks and threads of asyncio."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol  # Literal: msgspec reads the types of a Tag

from chatvitals.events import Message

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


class Handling:
    """The contacts whose messages the current webhook brought: one, except in batches.

    It is bound before the body has come and given its source afterwards, so that whichever task receives the body,
    every task of the request sees the same contacts. Who they are is looked up when it is first asked.
    """

    __slots__ = ("_contacts", "source")

    def __init__(self, contacts: tuple[ContactIds, ...] = ()) -> None:
        self.source: Source | None = None
        """What knows the contacts, once there is a body."""
        self._contacts = contacts

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """Who they are."""
        source = self.source
        return self._contacts if source is None else source.contacts


class Tag(NamedTuple):
    """What the code says about the sends of a block; None leaves it to detection."""

    kind: Literal["reply", "campaign", "notice"] | None = None
    actor: Literal["bot", "human"] | None = None


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
    handling = _handling.get()
    return handling.contacts[0] if handling is not None and len(handling.contacts) == 1 else None


def handled() -> tuple[ContactIds, ...]:
    """Return all contacts whose messages are being handled."""
    handling = _handling.get()
    return () if handling is None else handling.contacts


def handling() -> Handling | None:
    """Return what is being handled, for those who look later; None where nothing is."""
    return _handling.get()


@contextmanager
def bound(handling: Handling) -> Iterator[None]:
    """Bind `handling` for the body of the `with` statement."""
    token = bind(handling)
    try:
        yield
    finally:
        unbind(token)


def bind(handling: Handling) -> Token[Handling | None]:
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
