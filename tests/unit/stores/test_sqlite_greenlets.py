"""SQLite under gevent: no greenlet of the bot waits for a lock of the file."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from chatvitals.runtime import greenlets
from chatvitals.stores import sqlite
from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.fast
CELL = ("chatvitals_turns_open", ("1",), 0)


def _commit(store: SQLiteStore) -> None:
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}))


WRITES: dict[str, Callable[[SQLiteStore], object]] = {
    "transaction": _commit,
    "lease": lambda store: store.lease("poll:1", "here", 60.0, 1.0),
    "set_if_absent": lambda store: store.set_if_absent("key", b"value"),
}


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SQLiteStore:
    """A store of a process with greenlets. Another process holds the write lock of its file."""
    monkeypatch.setattr(greenlets, "has_real_threads", lambda: False)
    store = SQLiteStore(tmp_path / "s.db")
    store.cells()
    return store


@pytest.fixture
def other(locked: SQLiteStore) -> sqlite3.Connection:
    """Another process, which holds the write lock of the file."""
    other = sqlite3.connect(locked.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    return other


@pytest.mark.parametrize("write", WRITES)
def test_greenlets_go_on_while_the_file_is_locked(
    locked: SQLiteStore, other: sqlite3.Connection, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait consists of sleeps, in which gevent runs the others."""
    sleeps: list[float] = []

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        if len(sleeps) == 3:
            other.execute("ROLLBACK")

    monkeypatch.setattr("chatvitals.stores.sqlite.time.sleep", sleep)
    WRITES[write](locked)
    other.close()
    assert len(sleeps) == 3
    assert locked._connection().execute("PRAGMA busy_timeout").fetchone() == (0,)
    locked.close()


@pytest.mark.parametrize("write", WRITES)
def test_a_file_that_stays_locked_is_given_up(
    locked: SQLiteStore, other: sqlite3.Connection, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events wait in the queue then."""
    now = [0.0]
    monkeypatch.setattr("chatvitals.stores.sqlite.time.monotonic", lambda: now[0])

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("chatvitals.stores.sqlite.time.sleep", sleep)
    with pytest.raises(StoreUnavailableError, match="locked"):
        WRITES[write](locked)
    assert sqlite._BUSY_SECONDS <= now[0] < sqlite._BUSY_SECONDS + 0.1
    other.close()
    locked.close()
