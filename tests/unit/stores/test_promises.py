"""What every store promises about leases, documents and copies (tests/safety/README.md 70 and 71)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from chatvitals.stores import open_store
from chatvitals.stores.base import LEASE_TOLERANCE, Changes, ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.stores.base import Store

NOW = 1_800_000_000.0
CELL = ("chatvitals_turns_open", ("1",), 0)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store(store_url)
    yield opened
    opened.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on each kind of store."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", ["memory", "sqlite", "redis"], indirect=True)


def commit(store: Store, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def test_70_a_lease_of_a_clock_that_was_ahead_counts_for_nothing(store: Store) -> None:
    """Else nobody would lead until the wrong clock's time has come."""
    assert store.lease("expose", "pod-a", 15.0, NOW + 3600)
    assert store.lease("expose", "pod-b", 15.0, NOW)
    assert not store.lease("expose", "pod-c", 15.0, NOW)


def test_70_clocks_may_differ_a_little(store: Store) -> None:
    """A holder whose clock is some seconds ahead keeps its lease."""
    assert store.lease("expose", "pod-a", 15.0, NOW + LEASE_TOLERANCE - 1.0)
    assert not store.lease("expose", "pod-b", 15.0, NOW)


def test_70_a_lease_has_one_holder_who_may_renew_it(store: Store) -> None:
    """Another name is another lease."""
    assert store.lease("poll", "a", 30.0, NOW)
    assert not store.lease("poll", "b", 30.0, NOW + 1.0)
    assert store.lease("poll", "a", 30.0, NOW + 1.0)
    assert store.lease("expose", "b", 30.0, NOW)


def test_70_a_lease_of_no_time_is_given_back(store: Store) -> None:
    """The next one need not wait."""
    assert store.lease("poll", "a", 30.0, NOW)
    assert store.lease("poll", "a", 0.0, NOW)
    assert store.lease("poll", "b", 30.0, NOW)


def test_70_a_lease_ends(store: Store) -> None:
    """By the caller's clock, or by the store's own where it has one."""
    now = time.time()
    deadline = time.monotonic() + 5.0
    assert store.lease("poll", "a", 0.1, now)
    while not store.lease("poll", "b", 0.1, time.time()):
        assert time.monotonic() < deadline


def test_71_a_document_that_another_host_has_changed_is_not_overwritten(store: Store, store_url: str) -> None:
    """What a transaction has read takes part in the compare-and-set; a store with one writer at a time needs none."""
    other = open_store(store_url) if store.remote else store
    commit(store, Changes(documents={"quality": b"1"}))
    if not store.remote:
        with store.transaction() as transaction:
            assert transaction.document("quality") == b"1"
            transaction.commit(Changes(documents={"quality": b"12"}))
        assert store.document("quality") == b"12"
        return
    with store.transaction() as transaction:
        assert transaction.document("quality") == b"1"
        commit(other, Changes(documents={"quality": b"13"}))
        with pytest.raises(ConflictError):
            transaction.commit(Changes(documents={"quality": b"12"}, increments={CELL: 1.0}))
    assert store.document("quality") == b"13"
    assert store.cells() == {}
    other.close()


def test_71_a_document_that_another_host_has_begun_is_not_overwritten(store: Store, store_url: str) -> None:
    """To have found none is something that was read, too."""
    if not store.remote:
        with store.transaction() as transaction:
            assert transaction.document("quality") is None
        return
    other = open_store(store_url)
    with store.transaction() as transaction:
        assert transaction.document("quality") is None
        commit(other, Changes(documents={"quality": b"13"}))
        with pytest.raises(ConflictError):
            transaction.commit(Changes(documents={"quality": b"12"}))
    assert other.document("quality") == b"13"
    other.close()


def test_nothing_is_unreadable_in_a_store_of_this_version(store: Store) -> None:
    """Amounts of any size are read as they were written."""
    commit(store, Changes(increments={CELL: 0.1, ("chatvitals_turns_open", ("ü",), 0): 1e300}))
    assert len(store.cells()) == 2
    assert store.unreadable == 0


def test_a_store_that_nothing_endangers_gives_no_advice(store: Store) -> None:
    """A test's Redis has no limit of memory and the policy noeviction."""
    assert store.advice() == ""


def test_a_dump_holds_everything_but_leases(store: Store) -> None:
    """All pieces committed to another store make a copy."""
    everything = Changes(
        states={},
        open_since={("chatvitals_oldest_open_turn_timestamp_seconds", "1", 7): 5.0},
        increments={CELL: 2.0},
        documents={"quality": b"doc"},
    )
    commit(store, everything)
    store.lease("poll", "a", 30.0, NOW)
    copy = open_store("memory:")
    for piece in store.dump():
        commit(copy, piece)
    assert copy.cells() == {CELL: 2.0}
    assert copy.document("quality") == b"doc"
    assert copy.oldest_open() == {("chatvitals_oldest_open_turn_timestamp_seconds", "1"): 5.0}
    assert copy.lease("poll", "b", 30.0, NOW)
