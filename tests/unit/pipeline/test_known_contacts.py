"""Contacts that stay decoded between batches. Only the bytes in the store decide whether they still count."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli.store import compact
from chatvitals.cli.store_forget import forget
from chatvitals.conversations import state, turns
from chatvitals.conversations.state import ContactState
from chatvitals.metrics import catalogue
from chatvitals.pipeline.known_contacts import KEPT_SECONDS, MOST_KEPT, Entry, KnownContacts
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from tests.helpers.single_worker import DAY, EPOCH, PHONE, USER, World

if TYPE_CHECKING:
    from typing import Any

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store
    from tests.conftest import Swallowed


OLD_KEY, NEW_KEY = "0123456789abcdef-old", "fedcba9876543210-new"


def kept(known: KnownContacts, *keys: int, now: float = EPOCH) -> None:
    """Keep contacts whose row is their key."""
    known.keep([Entry(key, ContactState(phone_number_id=str(key)), str(key).encode()) for key in keys], now)


def test_a_contact_is_decoded_once_while_nobody_else_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message, the reply and a status come in batches of their own."""
    world = World()
    world.hears(0, "m1")
    monkeypatch.setattr(state, "decode", None)
    world.sends(1, "r1")
    world.status(2, "r1", "delivered")
    assert world.count(catalogue.SENDS) == 1


def test_a_contact_for_whom_nothing_waits_is_not_kept() -> None:
    """A silent contact takes no memory but that of its row."""
    world = World()
    world.hears(0, "m1")
    assert world.pipeline._committer._known._recent
    world.at(30)
    assert not world.pipeline._committer._known._recent
    assert not world.pipeline._committer._known._before


def test_a_contact_is_taken_only_once() -> None:
    """A batch owns what it changes: the next batch must not see the changes of one that failed."""
    known = KnownContacts()
    row = state.encode(ContactState(phone_number_id="1"))
    first = known.take(1, row)
    known.keep([first], EPOCH)
    assert known.take(1, row) is first
    assert known.take(1, row) is not first


def test_other_bytes_are_decoded() -> None:
    """Another worker has committed meanwhile."""
    known = KnownContacts()
    kept(known, 1)
    row = state.encode(ContactState(phone_number_id="other"))
    assert known.take(1, row).contact.phone_number_id == "other"


def test_few_contacts_are_kept_and_not_for_long() -> None:
    """Neither a burst nor an idle process holds more than two generations."""
    known = KnownContacts()
    for first in range(0, 10 * MOST_KEPT, 500):
        kept(known, *range(first, first + 500))
    kept(known, *range(5 * MOST_KEPT))
    assert len(known._recent) + len(known._before) <= 4 * MOST_KEPT
    for turn in (1, 2):
        known.keep([], EPOCH + turn * KEPT_SECONDS)
    assert not known._recent
    assert not known._before


def test_a_clock_that_was_set_back_ends_a_generation() -> None:
    """Otherwise contacts would stay until the clock has caught up."""
    known = KnownContacts()
    kept(known, 1)
    known.keep([], EPOCH - DAY)
    known.keep([], EPOCH - 2 * DAY)
    assert not known._before


def test_what_another_worker_committed_counts(store: Store) -> None:
    """One worker hears the message, and another sees the reply."""
    one, two = World(store), World(store)
    one.hears(0, "m1")
    two.sends(3, "r1")
    one.hears(100, "m2")
    two.at(150)
    one.sends(200, "r2")
    two.at(300)
    assert two.ended() == {"answered": 2}
    assert two.observed(catalogue.WAIT_SECONDS) == (2, 103.0)


def test_people_that_another_worker_found_to_be_one_are_one(store: Store) -> None:
    """The phone's contact is still in memory when its message is answered under the other id."""
    one, two = World(store), World(store)
    one.hears(0, "m1")
    two.hears(1, "m2", user_id=USER)
    one.sends(2, "r1", wa_id="", user_id=USER)
    two.at(30)
    assert two.ended() == {"answered": 1}
    assert two.count(catalogue.CONVERSATIONS_STARTED) == 1


def test_workers_with_the_old_and_the_new_identity_key_see_what_each_other_committed(store: Store) -> None:
    """A deployment changes the key of one worker after the other. Each has the contact in memory."""
    old = World(store, identity_key=OLD_KEY)
    new = World(store, identity_key=NEW_KEY, identity_key_previous=OLD_KEY)
    old.hears(0, "m1")
    new.hears(1, "m2")
    old.hears(2, "m3")
    new.hears(3, "m1", ts=0)
    old.sends(4, "r1")
    new.at(30)
    assert new.ended() == {"answered": 1}
    assert new.count(catalogue.MESSAGES_RECEIVED) == 3
    assert new.count(catalogue.DUPLICATES, "message") == 1


@pytest.mark.parametrize("how", ["a worker's sweep", "compact"])
def test_a_contact_whose_retention_ended_starts_anew(store: Store, how: str) -> None:
    """Another process has removed it. The first one, whose clock is slow, still has it in memory."""
    one, other = World(store), World(store)
    one.hears(0, "m1")
    one.calls(1, "dismiss")
    one.at(20)
    one.status(21, "r0", "delivered")
    assert one.pipeline._committer._known._recent
    other.at(40)
    if how == "compact":
        assert compact(store, EPOCH + 9 * DAY) == 1
    else:
        other.at(9 * DAY)
    assert not any(piece.states for piece in store.dump())
    one.hears(22, "m1")
    assert one.count(catalogue.DUPLICATES, "message") == 0
    assert one.count(catalogue.MESSAGES_RECEIVED) == 2


def test_an_erased_contact_starts_anew(store: Store) -> None:
    """Not even the ids of its messages are remembered, though its worker still has them in memory."""
    world = World(store)
    world.hears(0, "m1")
    forget(world.store, world.settings, PHONE, [], EPOCH + 5)
    world.hears(6, "m1")
    world.at(20)
    assert world.count(catalogue.DUPLICATES, "message") == 0
    assert world.count(catalogue.MESSAGES_RECEIVED) == 2
    assert world.count(catalogue.TURNS_OPEN) == 1


def test_a_store_that_was_set_back_counts_as_it_is(store: Store) -> None:
    """A backup from before the second message was restored: the message is new again."""
    world = World(store)
    world.hears(0, "m1")
    backup = {key: state_ for piece in store.dump() for key, state_ in piece.states.items()}
    world.hears(1, "m2")
    with store.transaction() as transaction:
        transaction.load(backup)
        transaction.commit(Changes(states=backup))
    world.hears(2, "m2")
    assert world.count(catalogue.DUPLICATES, "message") == 0


def test_a_failed_commit_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event is applied again, to the state from before."""
    world = World()
    world.hears(0, "m1")
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "_commit", _unavailable)
        with pytest.raises(AssertionError):
            world.hears(1, "m2")
    assert world.pipeline.drain()
    world.at(30)
    assert world.count(catalogue.MESSAGES_RECEIVED) == 2
    assert world.count(catalogue.DUPLICATES, "message") == 0


def test_a_contact_that_raised_an_error_is_as_before(monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed) -> None:
    """The half that was applied before the error is gone with it."""
    world = World()
    world.hears(0, "m1")
    world.at(30)
    with monkeypatch.context() as patch:
        patch.setattr(turns, "fire_timers", _broken)
        world.at(DAY + 60)
    assert swallowed.take("reducer")
    assert [turn.outcome for contact in world.contacts() for turn in contact.turns] == [state.OPEN]
    world.at(DAY + 5000)
    assert world.ended() == {"unanswered": 1}


@pytest.mark.parametrize("seed", range(12))
def test_kept_contacts_change_no_number(seed: int) -> None:
    """A worker that lives on, and one that starts anew before each event, reach the same store."""
    lasting, fresh = World(), World()
    for world in (lasting, fresh):
        chance = random.Random(seed)
        at = 0.0
        for serial in range(60):
            at += chance.choice([0.2, 1.0, 4.0, 9.0, 30.0, 400.0])
            if world is fresh:
                world.pipeline = Pipeline(world.settings, world.store, ErrorGuard(), world.clock, background=False)
            _something(world, chance, at, serial)
        world.at(at + 3 * DAY)
    assert _numbers(lasting) == pytest.approx(_numbers(fresh))
    assert sorted(lasting.contacts(), key=repr) == sorted(fresh.contacts(), key=repr)


@pytest.mark.parametrize("seed", range(12))
def test_kept_contacts_of_two_workers_change_no_number(seed: int) -> None:
    """Both live on and take turns at random. Fresh workers reach the same store."""
    reached = []
    for lasting in (True, False):
        chance = random.Random(seed)
        first = World()
        worlds, at = [first, World(first.store)], 0.0
        for serial in range(60):
            at += chance.choice([0.2, 1.0, 4.0, 9.0, 30.0])
            world = chance.choice(worlds)
            if not lasting:
                world.pipeline = Pipeline(world.settings, world.store, ErrorGuard(), world.clock, background=False)
            _something(world, chance, at, serial)
        first.at(at + 3 * DAY)
        reached.append(first)
    assert _numbers(reached[0]) == pytest.approx(_numbers(reached[1]))
    assert sorted(reached[0].contacts(), key=repr) == sorted(reached[1].contacts(), key=repr)


def _numbers(world: World) -> dict[Cell, float]:
    """Return all cells but those that a process keeps about itself."""
    return {cell: value for cell, value in world.store.cells().items() if cell[0] not in catalogue.OWN_HEALTH}


def _something(world: World, chance: random.Random, at: float, serial: int) -> None:
    """Let one of several people write, be answered, or get a status."""
    number = chance.randrange(4)
    phone, user = {"wa_id": f"1555000{number}"}, {"wa_id": "", "user_id": f"US.{number}"}
    ids: dict[str, Any] = chance.choice([phone, phone, user, user | phone])
    match chance.randrange(5):
        case 0 | 1:
            world.hears(at, f"m{serial}", **ids)
        case 2:
            world.sends(at, f"r{number}-{serial % 5}", **ids)
        case 3:
            world.calls(at, chance.choice(["handover", "dismiss", "resolve", "fallback"]), **ids)
        case _:
            status = chance.choice(["sent", "delivered", "read", "failed"])
            world.status(at, f"r{number}-{serial % 5}", status, **ids)


def _unavailable(*_: Any) -> None:
    raise StoreUnavailableError("made up")


def _broken(*_: Any) -> None:
    raise ValueError("made up")
