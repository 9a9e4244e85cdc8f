"""A SQLite store keeps open and silent contacts apart, and forgets silent contacts within a day."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.metrics import catalogue
from chatvitals.stores.base import Changes
from chatvitals.stores.memory import MemoryStore
from tests.helpers.single_worker import DAY, World
from tests.helpers.store_changes import NOW, commit

if TYPE_CHECKING:
    from chatvitals.stores.base import Store
    from chatvitals.stores.sqlite import SQLiteStore


def count(store: SQLiteStore, table: str) -> int:
    """Return the number of rows of a table."""
    found: int = store._connection().execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def due(store: Store, now: float, limit: int = 10_000) -> dict[int, bytes]:
    """Look for due contacts, and change nothing."""
    with store.transaction() as transaction:
        return transaction.due(now, limit)


def test_one_look_sees_a_bounded_number_of_silent_contacts(sqlite: SQLiteStore) -> None:
    """A million contacts cost a scrape no more than a thousand."""
    rng = random.Random(1)
    keys = [rng.randrange(-(2**63), 2**63) for _ in range(1234)]
    commit(sqlite, Changes(states=dict.fromkeys(keys, (b"s", NOW)), silent=set(keys)))
    looks = [due(sqlite, NOW) for _ in range(4)]
    assert [len(look) for look in looks] == [500, 500, 234, 0]
    assert set().union(*looks) == set(keys)


def test_a_look_returns_no_more_than_it_is_asked_for(sqlite: SQLiteStore) -> None:
    """Open contacts come first, and silent contacts take the places that are left."""
    commit(sqlite, Changes(states={key: (b"s", NOW - key) for key in range(1, 9)}, silent={1, 2, 3, 4}))
    assert list(due(sqlite, NOW, 3)) == [8, 7, 6]
    assert list(due(sqlite, NOW, 6)) == [8, 7, 6, 5, 1, 2]


def test_the_older_row_of_an_open_contact_is_not_found(sqlite: SQLiteStore) -> None:
    """It has expired in the meantime, but its contact has written again."""
    commit(sqlite, Changes(states={1: (b"old", NOW)}, silent={1}))
    commit(sqlite, Changes(states={1: (b"new", NOW + 9 * DAY)}))
    assert count(sqlite, "silent_contacts") == 1
    assert due(sqlite, NOW + 5 * DAY) == {}


def test_a_contact_leaves_the_open_contacts_when_it_is_silent(sqlite: SQLiteStore) -> None:
    """The index on due times stays as small as what waits."""
    world = World(sqlite)
    world.hears(0, "m0")
    assert (count(sqlite, "open_contacts"), count(sqlite, "silent_contacts")) == (1, 0)
    world.sends(5, "b0")
    world.at(60)
    assert (count(sqlite, "open_contacts"), count(sqlite, "silent_contacts")) == (0, 1)


@pytest.mark.parametrize("other", ["removed", "links"])
def test_a_contact_that_goes_leaves_both_tables(sqlite: SQLiteStore, other: str) -> None:
    """Neither its erasure nor its merge leaves a row behind."""
    commit(sqlite, Changes(states={1: (b"old", NOW)}, silent={1}))
    commit(sqlite, Changes(states={1: (b"new", NOW)}))
    gone: dict[str, Any] = {"removed": {1}, "links": {1: 2}}
    commit(sqlite, Changes(**{other: gone[other]}))
    assert (count(sqlite, "open_contacts"), count(sqlite, "silent_contacts")) == (0, other == "links")


def test_a_silent_contact_is_forgotten_within_a_day(sqlite: SQLiteStore) -> None:
    """With a sweep every ten minutes, the contact goes at some time of the ninth day."""
    world = World(sqlite)
    world.hears(0, "m0")
    world.sends(5, "b0")
    for minutes in range(0, 9 * 1440 + 70, 10):
        world.at(60 + 60 * minutes)
        if minutes < 8 * 1440:
            assert count(sqlite, "silent_contacts") == 1
    assert count(sqlite, "silent_contacts") == 0


def live(store: Store, *, swept: bool) -> dict[Any, float]:
    """Let a contact with two ids come back after ten days, with its first message id again."""
    world = World(store)
    world.hears(0, "m0", user_id="US.1")
    world.sends(5, "b0")
    world.at(60)
    if swept:
        world.at(9 * DAY)
    world.hears(10 * DAY, "m0", user_id="US.1")
    world.sends(10 * DAY + 5, "b1")
    world.at(10 * DAY + 60)
    return {cell: value for cell, value in store.cells().items() if cell[0] != catalogue.STORE_COMMIT_SECONDS.name}


def test_a_contact_that_returns_before_the_walk_counts_as_forgotten(sqlite: SQLiteStore) -> None:
    """The numbers are the same as in a store that deleted it in time."""
    assert live(sqlite, swept=False) == live(MemoryStore(), swept=True)


def test_a_wait_for_a_person_ends_at_its_time(sqlite: SQLiteStore) -> None:
    """It stands in a gauge, so the contact is not silent."""
    world = World(sqlite)
    world.hears(0, "m0")
    world.calls(1, "handover")
    world.sends(5, "b0")
    for day in range(1, 91):
        world.at(day * DAY)
    assert world.count(catalogue.HANDOVERS_OPEN) == count(sqlite, "open_contacts") == 1
    world.at(90 * DAY + 3700)
    assert world.count(catalogue.HANDOVERS_OPEN) == count(sqlite, "open_contacts") == 0
