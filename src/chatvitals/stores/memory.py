"""A store in this process's memory, for tests and for a single process whose numbers may end with it."""

from __future__ import annotations

import heapq
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from chatvitals.runtime import workers
from chatvitals.stores.base import Changes, StoreInfo, is_free

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Mark, Row


class MemoryStore:
    """A store of dictionaries under one lock."""

    remote: ClassVar[bool] = False

    def __init__(self) -> None:
        self.unreadable: int = 0
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._rows: dict[int, Row] = {}
        self._due: dict[int, float] = {}
        self._queue: list[tuple[float, int]] = []  # may hold outdated entries, because `_due` decides
        self._cells: dict[Cell, float] = {}
        self._marks: dict[Mark, float] = {}
        self._kept: dict[str, bytes] = {}
        self._leases: dict[str, tuple[str, float, float]] = {}

    @contextmanager
    def transaction(self) -> Iterator[_MemoryTransaction]:
        """Begin a transaction. It holds the lock until it ends, so there are no conflicts."""
        with self._lock:
            yield _MemoryTransaction(self)

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one. It takes no lock, because the bot must not wait for a batch."""
        return self._load(keys)

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells."""
        with self._lock:
            return dict(self._cells)

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each kind and business number."""
        found: dict[tuple[str, str], float] = {}
        with self._lock:
            for (kind, number, _), at in self._marks.items():
                found[kind, number] = min(at, found.get((kind, number), at))
        return found

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        with self._lock:
            return self._kept.get(name)

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store `value` if nothing is stored there yet. Return the stored value."""
        with self._lock:
            return self._kept.setdefault(name, value)

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Give or renew a lease. Return False while another holder has it."""
        with self._lock:
            if not is_free(self._leases.get(name, ("", 0.0, 0.0)), holder, now):
                return False
            self._leases[name] = (holder, now, now + seconds)
            return True

    def advice(self) -> str:
        """Return a sentence if this process is one of several workers or a forked child, else the empty string."""
        if self._pid == os.getpid() and workers.count() < 2:
            return ""
        return (
            "the store is memory: and several workers run, so each worker shows different numbers: "
            "set store to a file, sqlite:///PATH, or to a Redis"
        )

    def about(self) -> StoreInfo:
        """Return the kind of this store. Its size is not known."""
        return StoreInfo("memory", 1, 0)

    def dump(self) -> Iterator[Changes]:
        """Yield everything as one piece."""
        with self._lock:
            yield Changes(
                states={key: (row, self._due[key]) for key, row in self._rows.items() if isinstance(row, bytes)},
                links={key: row for key, row in self._rows.items() if isinstance(row, int)},
                open_since=dict(self._marks),
                increments=dict(self._cells),
                documents=dict(self._kept),
            )

    def compact(self) -> None:
        """Do nothing, because memory is freed at once."""

    def close(self) -> None:
        """Do nothing, because memory is freed with the object."""

    def _load(self, keys: Iterable[int]) -> dict[int, Row]:
        get = self._rows.get
        return {key: row for key in keys if (row := get(key)) is not None}

    def _due_rows(self, now: float, limit: int) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        again: list[tuple[float, int]] = []
        while self._queue and self._queue[0][0] <= now and len(found) < limit:
            at, key = heapq.heappop(self._queue)
            row = self._rows.get(key)
            if self._due.get(key) == at and isinstance(row, bytes) and key not in found:
                found[key] = row
                again.append((at, key))
        for entry in again:  # the commit moves them to their next time; without a commit they stay due
            heapq.heappush(self._queue, entry)
        return found

    def _commit(self, changes: Changes) -> None:
        for key, (state, due) in changes.states.items():
            self._rows[key] = state
            if self._due.get(key) != due:
                self._due[key] = due
                heapq.heappush(self._queue, (due, key))
        self._rows.update(changes.links)
        for key in changes.links:
            self._due.pop(key, None)
        for key in changes.removed:
            self._rows.pop(key, None)
            self._due.pop(key, None)
        for mark, at in changes.open_since.items():
            if at is None:
                self._marks.pop(mark, None)
            else:
                self._marks[mark] = at
        self._commit_cells(changes)
        self._kept.update(changes.documents)
        if len(self._queue) > 64 + 4 * len(self._due):
            self._queue = [(at, key) for key, at in self._due.items()]
            heapq.heapify(self._queue)

    def _commit_cells(self, changes: Changes) -> None:
        for cell, amount in changes.increments.items():
            self._cells[cell] = self._cells.get(cell, 0.0) + amount
        for cell, value in changes.maxima.items():
            known = self._cells.get(cell, value)
            self._cells[cell] = value if known > changes.latest else max(known, value)
        for cell in changes.dropped:
            self._cells.pop(cell, None)


class _MemoryTransaction:
    """A view of the store that holds the store's lock."""

    remote: ClassVar[bool] = False

    def __init__(self, store: MemoryStore) -> None:
        self.load = store._load  # noqa: SLF001 - a store and its transaction belong together
        self.due = store._due_rows  # noqa: SLF001
        self.document = store.document
        self.commit = store._commit  # noqa: SLF001
