"""Promises of every store about commits: all or nothing, and never over another worker's change."""

from __future__ import annotations

from contextlib import nullcontext
from math import inf
from typing import TYPE_CHECKING, cast

import pytest

from chatvitals.stores.base import Changes, ConflictError, RefusedDataError, StoreUnavailableError
from tests.helpers.store_changes import CELL, LAST, commit, on_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.stores.base import Store


def test_a_commit_moves_states_marks_and_cells_together(store: Store) -> None:
    """What one commit holds is there afterwards, all of it."""
    commit(
        store,
        Changes(
            states={1: (b"state", 5.0)},
            links={2: 1},
            open_since={("oldest", "n", 1): 7.0},
            increments={CELL: 2.0},
            maxima={LAST: 9.0},
            documents={"quality": b"doc"},
        ),
    )
    with store.transaction() as transaction:
        assert transaction.load([1, 2, 3]) == {1: b"state", 2: 1}
    assert store.cells() == {CELL: 2.0, LAST: 9.0}
    assert store.oldest_open() == {("oldest", "n"): 7.0}
    assert store.document("quality") == b"doc"


def test_a_transaction_that_is_left_without_a_commit_changes_nothing(store: Store) -> None:
    """An error between load and commit undoes all, and the next transaction works."""
    commit(store, Changes(states={1: (b"old", 5.0)}))

    def fail() -> None:
        with store.transaction() as transaction:
            transaction.load([1])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.transaction() as transaction:
        transaction.load([1])
    assert (store.cells(), store.rows([1])) == ({}, {1: b"old"})
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}


def test_an_empty_commit_changes_nothing(store: Store) -> None:
    """A batch may turn out to hold nothing new."""
    commit(store, Changes(states={1: (b"old", 5.0)}, increments={CELL: 1.0}))
    commit(store, Changes())
    assert (store.cells(), store.rows([1])) == ({CELL: 1.0}, {1: b"old"})


def test_amounts_add_up_and_the_latest_point_in_time_stays(store: Store) -> None:
    """Cells are increased, never overwritten. A mark of time never goes back."""
    for amount, point in ((2.0, 9.0), (-1.0, 4.0)):
        commit(store, Changes(increments={CELL: amount}, maxima={LAST: point}))
    assert store.cells() == {CELL: 1.0, LAST: 9.0}


def test_36_a_point_in_time_of_a_clock_that_was_ahead_gives_way(store: Store) -> None:
    """Once the clock is right again. Otherwise a silent webhook would stay unseen until the clock gets there."""
    commit(store, Changes(maxima={LAST: 9000.0}, latest=12_600.0))
    commit(store, Changes(maxima={LAST: 5401.0}, latest=9001.0))
    assert store.cells() == {LAST: 9000.0}
    commit(store, Changes(maxima={LAST: 5399.0}, latest=8999.0))
    assert store.cells() == {LAST: 5399.0}


def test_36_a_point_in_time_that_waited_in_a_queue_proves_no_wrong_clock(store: Store) -> None:
    """A store that was away for hours gets old times after new ones."""
    commit(store, Changes(maxima={LAST: 90_000.0}, latest=93_600.0))
    commit(store, Changes(maxima={LAST: 5000.0}, latest=93_601.0))
    assert store.cells() == {LAST: 90_000.0}


def test_a_dropped_cell_is_gone_and_may_begin_anew(store: Store) -> None:
    """The series of a number that nobody named go with its last contact."""
    commit(store, Changes(increments={CELL: 2.0}, maxima={LAST: 9.0}))
    commit(store, Changes(increments={CELL: 1.0}, dropped={CELL, ("unknown", (), 0)}))
    assert store.cells() == {LAST: 9.0}
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0, LAST: 9.0}


def test_a_link_and_a_state_replace_each_other(store: Store) -> None:
    """A contact that was merged may come again as its own."""
    commit(store, Changes(states={1: (b"one", 5.0), 2: (b"two", 5.0)}))
    commit(store, Changes(links={2: 1}))
    assert store.rows([2])[2] == 1
    commit(store, Changes(states={2: (b"again", 6.0)}))
    assert store.rows([2]) == {2: b"again"}
    with store.transaction() as transaction:
        assert transaction.due(9.0, 5) == {1: b"one", 2: b"again"}


def test_what_is_removed_is_gone(store: Store) -> None:
    """State or link, and also what never was there."""
    commit(store, Changes(states={1: (b"one", 5.0), 3: (b"three", 5.0)}, links={2: 1}))
    commit(store, Changes(removed={2, 3, 4}))
    assert store.rows([1, 2, 3, 4]) == {1: b"one"}


def test_a_time_to_keep_changes_nothing_that_is_read(store: Store) -> None:
    """Only a remote store lets data expire."""
    commit(store, Changes(states={1: (b"one", 5.0)}, links={2: 1}, ttls={1: (3600.0, [2])}))
    assert store.rows([1, 2]) == {1: b"one", 2: 1}


def test_two_writers_of_one_contact_lose_nothing(store: Store, other: Store) -> None:
    """They wait for each other, or the second commit gets an error and reads again."""
    commit(store, Changes())  # creates the file

    def count_up(mine: Store) -> int:
        done = 0
        for _ in range(2000):
            try:
                with mine.transaction() as transaction:
                    row = transaction.load([1]).get(1, b"0")
                    assert isinstance(row, bytes)
                    state = (str(int(row) + 1).encode(), 5.0)
                    transaction.commit(Changes(states={1: state}, increments={CELL: 1.0}))
                    done += 1
            except (ConflictError, StoreUnavailableError):  # a busy machine may let one of them wait for too long
                continue
            if done == 15:
                break
        mine.close()
        return done

    assert on_threads(lambda: count_up(store), lambda: count_up(other)) == [15, 15]
    assert store.rows([1]) == {1: b"30"}
    assert store.cells() == {CELL: 30.0}


@pytest.mark.parametrize("read", ["load", "due", "document", "no document"])
def test_71_what_was_read_and_has_changed_is_not_overwritten(store: Store, other: Store, read: str) -> None:
    """Nothing of such a commit takes effect. A store with one writer at a time needs no conflicts."""
    commit(store, Changes(states={1: (b"old", 5.0)}, documents={"quality": b"old"}))
    theirs = Changes(states={1: (b"theirs", 99.0)}, documents={"quality": b"theirs", "new": b"theirs"})
    mine = Changes(states={2: (b"mine", 5.0)}, increments={CELL: 1.0}, documents={"new": b"mine"})
    with store.transaction() as transaction:
        reads: dict[str, Callable[[], object]] = {
            "load": lambda: transaction.load([1]),
            "due": lambda: transaction.due(9.0, 5),
            "document": lambda: transaction.document("quality"),
            "no document": lambda: transaction.document("new"),
        }
        assert reads[read]() == {"document": b"old", "no document": None}.get(read, {1: b"old"})
        if store.remote:
            commit(other, theirs)
        with pytest.raises(ConflictError) if store.remote else nullcontext():
            transaction.commit(mine)
    assert store.cells() == ({} if store.remote else {CELL: 1.0})
    assert store.document("new") == (b"theirs" if store.remote else b"mine")
    assert (2 in store.rows([2])) is not store.remote


def test_62_of_a_refused_commit_nothing_takes_effect(store: Store) -> None:
    """A memory store refuses nothing, and so takes all of it."""
    kind = store.about().kind
    bad = {
        "memory": Changes(increments={CELL: 1.0}),
        "sqlite": Changes(increments={CELL: 1.0}, documents={"quality": cast("bytes", object())}),
        "redis": Changes(increments={CELL: inf}),
    }[kind]
    bad.states, bad.links, bad.maxima = {1: (b"state", 5.0)}, {2: 1}, {LAST: 9.0}
    bad.open_since = {("oldest", "n", 1): 7.0}
    refused = kind != "memory"
    with pytest.raises(RefusedDataError) if refused else nullcontext():
        commit(store, bad)
    assert store.rows([1, 2]) == ({} if refused else {1: b"state", 2: 1})
    assert store.cells() == ({} if refused else {CELL: 1.0, LAST: 9.0})
    assert store.oldest_open() == ({} if refused else {("oldest", "n"): 7.0})
    commit(store, Changes(increments={LAST: 1.0}))
    assert LAST in store.cells()
