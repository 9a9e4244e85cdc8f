"""Commits with a lost answer: their events are neither lost nor counted twice, however it ends."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest

from chatvitals.events import Message
from chatvitals.metrics import catalogue
from chatvitals.stores.base import ConflictError, StoreUnavailableError, UncertainError
from chatvitals.stores.memory import MemoryStore
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.stores.base import Changes, Transaction
    from tests.conftest import Swallowed


class _Losing:
    """A transaction whose commit is done or not, and whose answer is lost."""

    remote: ClassVar[bool] = False

    def __init__(self, transaction: Transaction, store: LosingStore) -> None:
        self._transaction, self._store = transaction, store
        self.load, self.due, self.document = transaction.load, transaction.due, transaction.document

    def commit(self, changes: Changes) -> None:
        store = self._store
        if not store.losing or not (changes.states or changes.increments):
            self._transaction.commit(changes)
            return
        store.losing = False
        if store.takes_effect:
            self._transaction.commit(changes)
        raise UncertainError("the answer was lost", store.again)


class LosingStore(MemoryStore):
    """A store that loses the answer of its next commit, and is asked about it `silent` times in vain."""

    def __init__(self, *, takes_effect: bool, silent: int = 0) -> None:
        super().__init__()
        self.losing, self.takes_effect, self.silent, self.asked = False, takes_effect, silent, 0

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:  # type: ignore[override]
        """Begin a transaction that may lose its answer."""
        with super().transaction() as transaction:
            yield _Losing(transaction, self)

    def again(self) -> None:
        """Answer that the commit took effect, or never will."""
        self.asked += 1
        if self.asked <= self.silent:
            raise StoreUnavailableError("still no answer")
        if not self.takes_effect:
            raise ConflictError


def put(world: World, *names: str) -> None:
    for name in names:
        event = Message(phone_number_id=NUMBER, wa_id=PHONE, id=name, type="text", received=EPOCH, timestamp=EPOCH)
        world.pipeline.put(event)


@pytest.mark.parametrize("takes_effect", [True, False])
@pytest.mark.parametrize("silent", [0, 2])
def test_events_of_a_lost_answer_count_once(takes_effect: bool, silent: int, swallowed: Swallowed) -> None:  # noqa: FBT001
    """Whether the commit took effect or not, and however often the store is asked."""
    store = LosingStore(takes_effect=takes_effect, silent=silent)
    world = World(store)
    world.pipeline.hasher()
    put(world, "m1", "m2")
    store.losing = True
    assert not world.pipeline.drain()
    assert world.pipeline.waiting == 2
    put(world, "m3")
    for _ in range(silent):
        assert not world.pipeline.drain()
        assert world.pipeline.waiting == 3
    assert world.pipeline.drain()
    assert world.pipeline.waiting == 0
    world.at(60)
    assert world.count(catalogue.MESSAGES_RECEIVED) == 3
    assert world.count(catalogue.DUPLICATES) == 0
    assert store.asked == silent + 1


def test_a_sweep_asks_first(swallowed: Swallowed) -> None:
    """Else it could advance a contact whose commit is still unsure."""
    store = LosingStore(takes_effect=False)
    world = World(store)
    world.pipeline.hasher()
    put(world, "m1")
    store.losing = True
    assert not world.pipeline.drain()
    assert world.pipeline.sweep()
    assert store.asked == 1
    assert world.pipeline.waiting == 1
    assert world.pipeline.drain()
    assert world.count(catalogue.MESSAGES_RECEIVED) == 1


def test_errors_that_travelled_with_a_lost_answer_count_once() -> None:
    """Own health of the process goes back when the commit did not take effect."""
    store = LosingStore(takes_effect=False)
    world = World(store)
    world.pipeline.hasher()
    world.pipeline.own.drop("stale", 7)
    put(world, "m1")
    store.losing = True
    assert not world.pipeline.drain()
    assert world.pipeline.drain()
    assert world.count(catalogue.EVENTS_DROPPED, "stale") == 7


def test_what_is_unsure_at_the_end_is_counted_as_dropped() -> None:
    """Closing waits for nobody for ever."""
    store = LosingStore(takes_effect=True, silent=99)
    world = World(store)
    world.pipeline.hasher()
    put(world, "m1", "m2")
    store.losing = True
    assert not world.pipeline.drain()
    world.pipeline.close(timeout=0.1)
    assert world.pipeline.waiting == 0
    assert world.pipeline.own.measures().increments[catalogue.EVENTS_DROPPED.name, ("store",), 0] == 2


def test_a_bad_event_is_found_although_an_answer_is_lost_meanwhile(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """Events are committed one by one then. What comes behind the unsure one waits in the queue."""
    from chatvitals.conversations.intake import apply_event  # noqa: PLC0415 - before it is replaced

    def poisoned(contact: object, event: Message, *rest: object) -> None:
        if event.id == "bad":
            raise ValueError("made up")
        apply: Callable[..., None] = apply_event
        apply(contact, event, *rest)

    monkeypatch.setattr("chatvitals.pipeline.contact_batch.apply_event", poisoned)
    store = LosingStore(takes_effect=True)
    world = World(store)
    world.pipeline.hasher()
    put(world, "m1", "bad", "m2")
    store.losing = True
    world.pipeline.drain()
    assert world.pipeline.drain()
    world.at(60)
    assert world.count(catalogue.MESSAGES_RECEIVED) == 2
    assert world.count(catalogue.INTERNAL_ERRORS, "reducer") == 1
    assert len(swallowed.take("reducer")) == 1
