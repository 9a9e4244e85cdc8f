"""Promises of every store about leases (tests/safety/README.md 70)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatvitals.stores.base import LEASE_TOLERANCE
from tests.helpers.store_changes import NOW, on_threads
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from chatvitals.stores.base import Store


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
    assert store.lease("poll", "a", 0.1, time.time())
    until("the end of the lease", lambda: store.lease("poll", "b", 0.1, time.time()))


def test_70_only_the_holder_gives_a_lease_back(store: Store, other: Store) -> None:
    """A worker that ends does not end the leadership of another."""
    assert store.lease("poll", "a", 30.0, NOW)
    assert not other.lease("poll", "b", 0.0, NOW)
    assert not other.lease("poll", "b", 30.0, NOW)
    assert store.lease("poll", "a", 30.0, NOW)


def test_70_of_many_who_ask_at_once_one_gets_the_lease(store: Store) -> None:
    """Else two workers would poll."""
    store.cells()  # creates the file
    asked = on_threads(*(lambda name=name: store.lease("poll", name, 600.0, NOW) for name in "abcd"))
    assert sorted(asked) == [False, False, False, True]
