"""All stores keep the same promises, and SQLite those of a file that others share."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals.stores import open_store
from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store

CELL = ("chatvitals_turns_open", ("1",), 0)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store(store_url)
    yield opened
    opened.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the promises on each kind of store."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty SQLite store."""
    opened = SQLiteStore(tmp_path / "store.db")
    yield opened
    opened.close()


def commit(store: Store, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def test_a_commit_moves_states_marks_and_cells_together(store: Store) -> None:
    """What one commit holds is there afterwards, all of it."""
    commit(
        store,
        Changes(
            states={1: (b"state", 5.0)},
            links={2: 1},
            open_since={("oldest", "n", 1): 7.0},
            increments={CELL: 2.0},
            maxima={("last", (), 0): 9.0},
        ),
    )
    with store.transaction() as transaction:
        assert transaction.load([1, 2, 3]) == {1: b"state", 2: 1}
    assert store.cells() == {CELL: 2.0, ("last", (), 0): 9.0}
    assert store.oldest_open() == {("oldest", "n"): 7.0}


def test_a_transaction_that_is_left_without_a_commit_changes_nothing(store: Store) -> None:
    """An error between load and commit undoes all."""

    def fail() -> None:
        with store.transaction() as transaction:
            transaction.load([1])
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.cells() == {}


def test_amounts_add_up_and_the_latest_point_in_time_stays(store: Store) -> None:
    """Cells are increased, never overwritten; a mark of time never goes back."""
    for amount, point in ((2.0, 9.0), (-1.0, 4.0)):
        commit(store, Changes(increments={CELL: amount}, maxima={("last", (), 0): point}))
    assert store.cells() == {CELL: 1.0, ("last", (), 0): 9.0}


def test_only_what_is_due_is_found_the_earliest_first(store: Store) -> None:
    """The sweeper sees each contact once its time has come, and sees it again while it stays due."""
    commit(store, Changes(states={1: (b"late", 30.0), 2: (b"soon", 10.0), 3: (b"now", 5.0)}, links={4: 1}))
    with store.transaction() as transaction:
        assert list(transaction.due(10.0, 10).items()) == [(3, b"now"), (2, b"soon")]
        assert list(transaction.due(10.0, 1)) == [3]
        assert list(transaction.due(10.0, 10)) == [3, 2]


def test_a_due_time_can_move_and_go_with_its_contact(store: Store) -> None:
    """A moved contact is due at its new time only, a removed or merged one never."""
    commit(store, Changes(states={1: (b"a", 5.0), 2: (b"b", 5.0), 3: (b"c", 5.0)}))
    commit(store, Changes(states={1: (b"a2", 50.0)}, removed={2}, links={3: 1}))
    with store.transaction() as transaction:
        assert transaction.due(10.0, 10) == {}
        assert transaction.due(50.0, 10) == {1: b"a2"}
        assert transaction.load([1, 2, 3]) == {1: b"a2", 3: 1}


def test_the_earliest_mark_of_each_number_is_shown_until_it_is_removed(store: Store) -> None:
    """Marks are per kind, number and contact."""
    commit(store, Changes(open_since={("k", "n", 1): 7.0, ("k", "n", 2): 6.0, ("k", "m", 3): 1.0}))
    commit(store, Changes(open_since={("k", "n", 2): None, ("k", "m", 3): 2.0}))
    assert store.oldest_open() == {("k", "n"): 7.0, ("k", "m"): 2.0}


def test_the_first_value_is_kept(store: Store) -> None:
    """All workers end up with the identity key that the first one brought."""
    assert store.set_if_absent("key", b"one") == b"one"
    assert store.set_if_absent("key", b"two") == b"one"


def test_a_document_is_replaced_with_a_commit(store: Store) -> None:
    """What is known of the business moves with the cells that count its changes."""
    assert store.document("quality") is None
    commit(store, Changes(documents={"quality": b"one"}))
    commit(store, Changes(documents={"quality": b"two"}))
    assert store.document("quality") == b"two"
    with store.transaction() as transaction:
        assert transaction.document("quality") == b"two"
        assert transaction.document("other") is None


def test_a_thousand_keys_are_loaded_at_once(store: Store) -> None:
    """A batch may be larger than what one statement takes."""
    commit(store, Changes(states=dict.fromkeys(range(1200), (b"s", 1.0))))
    with store.transaction() as transaction:
        assert len(transaction.load(range(1300))) == 1200


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


def _count_up(path: str, times: int) -> None:
    store = SQLiteStore(path)
    done = 0
    while done < times:
        try:
            with store.transaction() as transaction:
                row = transaction.load([1]).get(1, b"0")
                assert isinstance(row, bytes)
                transaction.commit(Changes(states={1: (str(int(row) + 1).encode(), 5.0)}, increments={CELL: 1.0}))
            done += 1
        except StoreUnavailableError:
            continue
    store.close()


@pytest.mark.slow
def test_eight_processes_that_write_at_once_lose_nothing(sqlite: SQLiteStore) -> None:
    """Read, change and write again of one contact is one step, whoever else does the same."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count_up, args=(str(sqlite.path), 40)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
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
        thread.join(10)
        transaction.commit(Changes(increments={CELL: 1.0}))
    assert seen == [{CELL: 1.0}]


def test_a_file_of_a_newer_version_is_refused_with_a_sentence(sqlite: SQLiteStore) -> None:
    """An older chatvitals does not guess what a newer one meant."""
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
    """The error says what to check."""
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
