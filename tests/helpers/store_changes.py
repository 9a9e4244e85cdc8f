"""Commits and threads for the tests of stores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Changes, Store

    T = TypeVar("T")

NOW = 1_800_000_000.0
CELL: Cell = ("chatvitals_turns_open", ("1",), 0)
LAST: Cell = ("last", (), 0)


def commit(store: Store, changes: Changes) -> None:
    """Commit in a transaction that reads nothing."""
    with store.transaction() as transaction:
        transaction.commit(changes)


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
