"""Promises of every store to its operators: dumps, facts, closing, and clear errors while it is away."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.conversations.state import ContactState, encode
from chatvitals.stores import open_store
from chatvitals.stores.base import Changes, StoreInfo, StoreUnavailableError
from tests.helpers.store_changes import CELL, LAST, NOW, commit, on_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.stores.base import Store

STATE = encode(ContactState("1", aliases=[2]))


def everything() -> Changes:
    return Changes(
        states={1: (STATE, 5.0)},
        links={2: 1},
        open_since={("chatvitals_oldest_open_turn_timestamp_seconds", "1", 7): 5.0},
        increments={CELL: 2.0},
        maxima={LAST: 9.0},
        documents={"quality": b"doc"},
    )


def contents(store: Store) -> list[Any]:
    with store.transaction() as transaction:
        due = transaction.due(NOW, 10)
    return [store.rows([1, 2]), due, store.cells(), store.oldest_open(), store.document("quality")]


def test_a_dump_holds_everything_but_leases(store: Store) -> None:
    """All pieces committed to another store make a copy."""
    commit(store, everything())
    store.lease("poll", "a", 30.0, NOW)
    copy = open_store("memory:")
    for piece in store.dump():
        commit(copy, piece)
    assert contents(copy) == contents(store)
    assert copy.lease("poll", "b", 30.0, NOW)


def test_a_dump_shows_a_local_store_as_of_one_time(store: Store, other: Store) -> None:
    """A dump of many pieces holds nothing of a commit that came after the first. On a Redis such a commit may show."""
    commit(store, Changes(states=dict.fromkeys(range(1, 2600), (STATE, 5.0)), increments={CELL: 1.0}))

    def write() -> bool:
        commit(other, Changes(removed={2599}, increments={CELL: 1.0}))
        other.close()
        return True

    pieces = store.dump()
    found = [next(pieces)]
    if store.about().kind == "sqlite":  # a memory store yields one piece, under its lock
        assert on_threads(write) == [True]
    found += pieces
    assert sum(len(piece.states) for piece in found) == 2599
    assert [piece.increments for piece in found if piece.increments] == [{CELL: 1.0}]


def test_to_compact_changes_nothing_that_is_read(store: Store) -> None:
    """It frees space alone."""
    commit(store, everything())
    before = contents(store)
    store.compact()
    assert contents(store) == before


def test_a_store_that_was_closed_opens_again(store: Store) -> None:
    """A worker that shuts down may still see a late event."""
    commit(store, everything())
    before = contents(store)
    store.close()
    store.close()
    assert contents(store) == before
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells()[CELL] == 3.0


def test_a_store_that_nothing_endangers_gives_no_advice(store: Store) -> None:
    """A test's Redis has no limit of memory and the policy noeviction."""
    assert store.advice() == ""


def test_facts_name_the_kind_the_format_and_the_size(store: Store, store_url: str) -> None:
    """People see them in `chatvitals store`."""
    commit(store, everything())
    facts = store.about()
    assert isinstance(facts, StoreInfo)
    assert facts.kind == store_url.partition(":")[0]
    assert facts.version >= 1
    assert (facts.size > 0) is (facts.kind != "memory")


USES: dict[str, Callable[[Store], object]] = {
    "transaction": lambda store: commit(store, everything()),
    "load": lambda store: _within(store, lambda transaction: transaction.load([1])),
    "due": lambda store: _within(store, lambda transaction: transaction.due(NOW, 1)),
    "document in a transaction": lambda store: _within(store, lambda transaction: transaction.document("quality")),
    "rows": lambda store: store.rows([1]),
    "cells": lambda store: store.cells(),
    "oldest_open": lambda store: store.oldest_open(),
    "document": lambda store: store.document("quality"),
    "set_if_absent": lambda store: store.set_if_absent("key", b"one"),
    "lease": lambda store: store.lease("poll", "a", 30.0, NOW),
    "about": lambda store: store.about(),
    "dump": lambda store: list(store.dump()),
}


def _within(store: Store, use: Callable[[Any], object]) -> object:
    with store.transaction() as transaction:
        return use(transaction)


@pytest.fixture(params=["sqlite", "redis"])
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that cannot be used now. A memory store always can."""
    url = f"sqlite:///{tmp_path / 'none' / 'store.db'}" if request.param == "sqlite" else "redis://127.0.0.1:1"
    return open_store(url)


@pytest.mark.parametrize("use", USES)
def test_every_use_of_a_store_that_is_away_is_told_as_that(away: Store, use: str) -> None:
    """A user of a store handles one error."""
    with pytest.raises(StoreUnavailableError, match=r"\w+ \w+ \w+"):
        USES[use](away)


def test_advice_compact_and_close_bear_a_store_that_is_away(away: Store) -> None:
    """Advice never raises, and closing is the last thing that a bot does."""
    assert away.advice() == ""
    with suppress(StoreUnavailableError):
        away.compact()
    away.close()


def test_a_store_that_comes_back_is_used_without_a_new_start(tmp_path: Path) -> None:
    """Nothing of the commits that failed has taken effect."""
    store = open_store(f"sqlite:///{tmp_path / 'none' / 'store.db'}")
    with pytest.raises(StoreUnavailableError):
        commit(store, everything())
    (tmp_path / "none").mkdir()
    assert contents(store) == [{}, {}, {}, {}, None]
    commit(store, everything())
    assert store.cells() == {CELL: 2.0, LAST: 9.0}
    store.close()
