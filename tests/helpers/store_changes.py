"""Commits and threads for the tests of stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from chatvitals.stores.base import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store

    T = TypeVar("T")

NOW = 1_800_000_000.0
CELL: Cell = ("chatvitals_turns_open", ("1",), 0)
LAST: Cell = ("last", (), 0)


def commit(store: Store, changes: Changes) -> None:
    """Commit in a transaction that reads nothing."""
    with store.transaction() as transaction:
        transaction.commit(changes)


def count_up(open_store: Callable[[str], Store], address: str, times: int, busy: type[Exception]) -> None:
    """Add to the state of a contact, in a process of its own. A commit that fails with `busy` is made again."""
    store, done = open_store(address), 0
    while done < times:
        try:
            with store.transaction() as transaction:
                row = transaction.load([1]).get(1, b"0")
                assert isinstance(row, bytes)
                transaction.commit(Changes(states={1: (str(int(row) + 1).encode(), 5.0)}, increments={CELL: 1.0}))
            done += 1
        except busy:
            continue
    store.close()


def on_threads(*works: Callable[[], T]) -> list[T]:
    """Run all functions at once, each on its own thread. Return the results that come within 30 seconds."""
    start = threading.Barrier(len(works))
    results: list[T] = []

    def run(work: Callable[[], T]) -> None:
        start.wait(60)
        results.append(work())

    threads = [threading.Thread(target=run, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results
