"""A SQLite file of format 2, with one table of contacts, becomes a file with open and silent contacts."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatvitals.conversations import state
from chatvitals.conversations.state import ContactState, Turn
from chatvitals.metrics import catalogue
from chatvitals.stores import sqlite_schema
from chatvitals.stores.base import StoreMistakeError
from chatvitals.stores.sqlite import SQLiteStore
from tests.helpers.single_worker import EPOCH, NUMBER, World
from tests.helpers.store_changes import on_threads

if TYPE_CHECKING:
    from chatvitals.stores.base import Row

FORMAT_2 = Path(__file__).with_name("format_2.sql")
EXPIRES = EPOCH + 8 * state.DAY
SILENT = state.encode(ContactState(NUMBER, last_received_at=float(EPOCH), due=EXPIRES))
OPEN = state.encode(
    ContactState(NUMBER, last_received_at=float(EPOCH), turns=[Turn(EPOCH, EPOCH, EPOCH, 0, 0)], due=EPOCH + 20.0)
)
UNREADABLE = b"\xc1"
CONTACTS: dict[int, tuple[Row, float | None]] = {
    -1: (SILENT, EXPIRES),
    2: (OPEN, EPOCH + 3600.0),
    3: (UNREADABLE, EPOCH + 40.0),
    4: (-1, None),
}
KILLED = """
import os, signal, sys
from chatvitals.stores import sqlite_schema
from chatvitals.stores.sqlite import SQLiteStore

sqlite_schema.is_silent_row = lambda row: os.kill(os.getpid(), signal.SIGKILL)
SQLiteStore(sys.argv[1]).cells()
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of format 2, in the WAL mode that a running bot gives it."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(FORMAT_2.read_text(encoding="utf-8"))
    connection.executemany("INSERT INTO contacts VALUES (?, ?, ?)", [(key, *row) for key, row in CONTACTS.items()])
    opened = (catalogue.TURNS_OPEN.name, f'["{NUMBER}", "first", ""]', 0, 1.0)
    connection.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", opened)
    connection.commit()
    connection.close()
    return path


def contacts(store: SQLiteStore) -> dict[int, tuple[Row, float | None]]:
    """Return all contacts of a dump."""
    found: dict[int, tuple[Row, float | None]] = {}
    for piece in store.dump():
        found.update(piece.states)
        found.update({key: (row, None) for key, row in piece.links.items()})
    return found


def open_keys(store: SQLiteStore) -> set[int]:
    """Return the keys of open contacts."""
    return {key for (key,) in store._connection().execute("SELECT key FROM open_contacts")}


def test_33_a_file_of_format_2_is_migrated(old: Path) -> None:
    """All contacts stay, and what waits stays due at its time. A row that cannot be read stays due as well."""
    store = SQLiteStore(old)
    assert store.about().version == 3
    assert contacts(store) == CONTACTS
    assert open_keys(store) == {2, 3}
    with store.transaction() as transaction:
        assert transaction.due(EPOCH + 3600.0, 10) == {3: UNREADABLE, 2: OPEN}
    store.close()


def test_33_a_migrated_contact_goes_on_as_before(old: Path) -> None:
    """The open turn ends at its deadline, and the silent contact is forgotten."""
    store = SQLiteStore(old)
    world = World(store)
    world.clock.now = EPOCH + state.DAY + 60
    assert world.pipeline.sweep()
    assert world.ended() == {"unanswered": 1}
    world.clock.now = EXPIRES + state.DAY
    assert world.pipeline.sweep()
    assert contacts(store) == {4: (-1, None)}
    store.close()


def test_33_a_kill_in_the_middle_of_a_migration_leaves_the_old_file(old: Path) -> None:
    """The next start migrates the file, with nothing lost."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(old)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    connection = sqlite3.connect(old)
    assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (4,)
    connection.close()
    store = SQLiteStore(old)
    assert contacts(store) == CONTACTS
    assert open_keys(store) == {2, 3}
    store.close()


def test_33_of_many_workers_one_migrates(old: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others wait for it and find the new format."""
    caplog.set_level("INFO", "chatvitals.stores")
    stores = [SQLiteStore(old) for _ in range(4)]
    versions = on_threads(*(lambda store=store: store.about().version for store in stores))
    assert versions == [3] * 4
    assert len(caplog.records) == 1
    assert contacts(stores[0]) == CONTACTS
    for store in stores:
        store.close()


def test_33_a_running_worker_of_format_2_stops_writing(old: Path) -> None:
    """It would otherwise change rows that no longer count. Its next connection is refused by version."""
    earlier = sqlite3.connect(old)
    assert earlier.execute("SELECT count(*) FROM contacts").fetchone() == (4,)
    store = SQLiteStore(old)
    store.cells()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        earlier.execute("UPDATE contacts SET row = ? WHERE key = ?", (SILENT, 2))
    earlier.close()
    store.close()


def test_33_an_older_library_refuses_format_3(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal depends on the number alone, which the older library knows to be 2."""
    store = SQLiteStore(old)
    store.cells()
    store.close()
    monkeypatch.setattr(sqlite_schema, "SCHEMA_VERSION", 2)
    with pytest.raises(StoreMistakeError, match=r"newer chatvitals \(format 3, this one knows 2\)"):
        SQLiteStore(old).cells()
