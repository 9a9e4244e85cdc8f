"""A SQLite store keeps the promises of a file that processes, forks and threads share."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.sqlite import SQLiteStore
from tests.helpers.store_changes import CELL, commit, count_up

if TYPE_CHECKING:
    from pathlib import Path

    from chatvitals.metrics.measurements import Cell


def test_what_is_committed_survives_a_restart(tmp_path: Path) -> None:
    """A new process finds states, cells and the identity key."""
    first = SQLiteStore(tmp_path / "s.db")
    commit(first, Changes(states={1: (b"state", 5.0)}, increments={CELL: 1.0}))
    first.set_if_absent("key", b"one")
    first.close()
    second = SQLiteStore(tmp_path / "s.db")
    with second.transaction() as transaction:
        assert transaction.load([1]) == {1: b"state"}
    assert second.cells() == {CELL: 1.0}
    assert second.set_if_absent("key", b"two") == b"one"
    second.close()


@pytest.mark.slow
def test_eight_processes_that_write_at_once_lose_nothing(sqlite: SQLiteStore) -> None:
    """Reading, changing and writing a contact is one step, also with other writers."""
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=count_up, args=(SQLiteStore, str(sqlite.path), 40, StoreUnavailableError))
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(600)
        assert worker.exitcode == 0
    assert sqlite.cells() == {CELL: 320.0}
    with sqlite.transaction() as transaction:
        assert transaction.load([1]) == {1: b"320"}


def test_a_fork_opens_its_own_connection(sqlite: SQLiteStore) -> None:
    """A child never uses its parent's connection, which SQLite forbids."""
    commit(sqlite, Changes(increments={CELL: 1.0}))
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        status = 1
        try:
            commit(sqlite, Changes(increments={CELL: 1.0}))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert sqlite.cells() == {CELL: 2.0}


def test_each_thread_has_its_own_connection(sqlite: SQLiteStore) -> None:
    """A scrape reads on its thread while the pipeline commits on its own."""
    commit(sqlite, Changes(increments={CELL: 1.0}))
    seen: list[dict[Cell, float]] = []

    def scrape() -> None:
        seen.append(sqlite.cells())
        sqlite.close()

    thread = threading.Thread(target=scrape)
    with sqlite.transaction() as transaction:
        thread.start()
        thread.join(60)
        transaction.commit(Changes(increments={CELL: 1.0}))
    assert seen == [{CELL: 1.0}]


def test_a_file_of_a_newer_version_is_refused_with_a_sentence(sqlite: SQLiteStore) -> None:
    """An older chatvitals does not guess the meaning of newer data."""
    sqlite.cells()
    sqlite.close()
    with sqlite3.connect(sqlite.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreUnavailableError, match=r"newer chatvitals .format 99"):
        sqlite.cells()


def test_a_file_that_is_no_database_is_refused_and_used_again_once_it_is_gone(sqlite: SQLiteStore) -> None:
    """Garbage in the store's place degrades the numbers, and moving it away is all that it takes."""
    sqlite.path.write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreUnavailableError, match="damaged: move it away"):
        sqlite.cells()
    sqlite.path.unlink()
    commit(sqlite, Changes(increments={CELL: 1.0}))
    assert sqlite.cells() == {CELL: 1.0}


def test_a_file_that_is_removed_under_a_running_process_is_begun_anew(sqlite: SQLiteStore) -> None:
    """A deleted file is noticed: writing on into nowhere would lose everything silently."""
    commit(sqlite, Changes(increments={CELL: 5.0}))
    for path in sqlite.path.parent.glob("store.db*"):
        path.unlink()
    commit(sqlite, Changes(increments={CELL: 1.0}))
    assert sqlite.cells() == {CELL: 1.0}


def test_a_folder_that_does_not_exist_is_named_with_what_to_do(tmp_path: Path) -> None:
    """The error names the thing to check."""
    with pytest.raises(StoreUnavailableError, match="folder exists and is writable"):
        SQLiteStore(tmp_path / "no" / "store.db").cells()


def test_a_locked_file_is_said_to_be_locked(sqlite: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that holds the file is waited for by trying again later."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 0.01)
    sqlite.cells()
    other = sqlite3.connect(sqlite.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    sqlite.close()
    with pytest.raises(StoreUnavailableError, match="locked by another process"), sqlite.transaction():
        pass
    other.execute("ROLLBACK")
    other.close()
    with sqlite.transaction():
        pass
