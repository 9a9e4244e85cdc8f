"""The file of a SQLite store: format, migration, owner, copies (tests/safety/README.md 33 and 73)."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chatvitals.settings import Settings
from chatvitals.stores import sqlite_schema
from chatvitals.stores.base import Changes, RefusedDataError, StoreUnavailableError
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable

CELL = ("chatvitals_turns_open", ("1",), 0)
FORMAT_1 = Path(__file__).with_name("format_1.sql")
"""A file as the version before application ids wrote it: three contacts, a quality document, a lease."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of format 1."""
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(FORMAT_1.read_text())
    connection.close()
    return path


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        pragmas = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")]
        return [*map(str, pragmas), *connection.iterdump()]
    finally:
        connection.close()


def test_33_a_file_of_format_1_is_migrated(old: Path) -> None:
    """Contacts, cells, open turns and documents stay. Leases end, which they do by themselves."""
    store = SQLiteStore(old)
    assert store.about().version == sqlite_schema.SCHEMA_VERSION
    assert store.cells()["chatvitals_messages_received_total", ("106540352242922", "text"), 0] == 3.0
    assert len(store.document("identity_key") or b"") == 32
    assert store.document("quality")
    assert sum(len(piece.states) for piece in store.dump()) == 3
    assert store.lease("poll", "somebody else", 10.0, 1_700_000_001.0)
    store.close()
    assert dump(old)[1] == str(sqlite_schema.APPLICATION_ID)


def test_33_a_migrated_file_goes_on_counting(old: Path) -> None:
    """The same contact's turn closes in the new format."""
    settings = Settings.load({"store": f"sqlite:///{old}", "hooks": False}, {})
    vitals = Vitals(settings, clock=lambda: 1_700_000_100.0, background=False)
    vitals.settle()
    opened = [value for cell, value in vitals.store.cells().items() if cell[0] == "chatvitals_turns_opened_total"]
    assert sum(opened) == 3.0
    vitals.close()


def test_33_a_migration_that_is_interrupted_leaves_the_old_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it is one transaction."""
    before = dump(old)
    broken = sqlite_schema.FROM_1_TO_2 + ";\nINSERT INTO nowhere VALUES (1)"
    monkeypatch.setattr(sqlite_schema, "FROM_1_TO_2", broken)
    with pytest.raises(StoreUnavailableError):
        SQLiteStore(old).cells()
    assert dump(old) == before


def test_33_format_1_can_be_read_without_being_changed(old: Path) -> None:
    """Commands that only look migrate nothing."""
    before = dump(old)
    assert sqlite_schema.read_cells(old)["chatvitals_webhooks_total", ("accepted",), 0] == 3.0
    assert dump(old) == before


def _with_version_0(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE users (id)")


def _with_version_1(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE users (id)")
    connection.execute("PRAGMA user_version = 1")


def _with_our_names(connection: sqlite3.Connection) -> None:
    for table in ("contacts", "marks", "cells", "kept", "users"):
        connection.execute(f"CREATE TABLE {table} (id)")
    connection.execute("PRAGMA user_version = 1")


def _with_another_id(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA application_id = 7")


@pytest.mark.parametrize("owner", [_with_version_0, _with_version_1, _with_our_names, _with_another_id])
def test_73_a_database_of_another_application_is_refused_untouched(
    tmp_path: Path, owner: Callable[[sqlite3.Connection], None]
) -> None:
    """Neither tables, nor versions, nor the journal change."""
    path = tmp_path / "bot.db"
    with sqlite3.connect(path) as connection:
        owner(connection)
    connection.close()
    before = path.read_bytes()
    store = SQLiteStore(path)
    with pytest.raises(StoreUnavailableError, match="database of another application and stays untouched"):
        store.cells()
    with pytest.raises(StoreUnavailableError, match="another application"), store.transaction():
        pass
    store.close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"x", b"xy", b"hello, I am a note", b"{}" * 300])
def test_73_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path, content: bytes) -> None:
    """SQLite alone would take a file of one byte for an empty database."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for create in (True, False):
        store = SQLiteStore(path, create=create)
        with pytest.raises(StoreUnavailableError):
            store.cells()
        store.close()
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_73_a_file_that_another_worker_is_creating_is_no_other_applications(tmp_path: Path) -> None:
    """Version and application id are read as of one time, though the other commits between the two reads."""
    reader, writer = (sqlite3.connect(tmp_path / "new.db", isolation_level=None) for _ in range(2))
    reader.execute("PRAGMA journal_mode = WAL")

    def create(statement: str) -> None:
        if statement == "PRAGMA application_id":
            reader.set_trace_callback(None)
            sqlite_schema.bring_up_to_date(writer, "new.db")

    reader.set_trace_callback(create)
    assert sqlite_schema.version_of(reader, "new.db") == 0
    assert sqlite_schema.version_of(reader, "new.db") == sqlite_schema.SCHEMA_VERSION
    reader.close()
    writer.close()


def test_73_a_new_file_is_for_its_owner(tmp_path: Path) -> None:
    """It holds hashes of people and, by default, the key of these hashes."""
    store = SQLiteStore(tmp_path / "store.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}))
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    store.close()


def test_73_the_missing_file_behind_a_link_is_for_its_owner(tmp_path: Path) -> None:
    """A link into a volume is common, and SQLite would create the file for all."""
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "store.db")
    SQLiteStore(link).cells()
    assert stat.S_IMODE((tmp_path / "store.db").stat().st_mode) == 0o600


def test_73_an_existing_file_keeps_its_mode(tmp_path: Path) -> None:
    """Somebody may have chosen it."""
    path = tmp_path / "store.db"
    path.touch()
    path.chmod(0o640)
    SQLiteStore(path).cells()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_62_a_value_that_the_file_refuses_is_no_trouble_of_the_file(tmp_path: Path) -> None:
    """Nothing of the commit takes effect, and the store goes on working."""
    store = SQLiteStore(tmp_path / "store.db")
    store.cells()
    store._connection().setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)
    with pytest.raises(RefusedDataError), store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}, documents={"quality": b"x" * 2000}))
    assert store.cells() == {}
    store.close()


def test_a_backup_is_a_store_of_the_same_moment(tmp_path: Path) -> None:
    """Later commits are not in it. It belongs to its owner alone."""
    store = SQLiteStore(tmp_path / "store.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}))
    store.backup(tmp_path / "copy.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}))
    copy = SQLiteStore(tmp_path / "copy.db")
    assert copy.cells() == {CELL: 1.0}
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    copy.close()
    store.close()
    assert not list(tmp_path.glob(".*.part"))


def test_a_backup_replaces_nothing(tmp_path: Path) -> None:
    """Whatever has the name already stays."""
    (tmp_path / "copy.db").write_text("precious")
    store = SQLiteStore(tmp_path / "store.db")
    with pytest.raises(FileExistsError, match="exists already"):
        store.backup(tmp_path / "copy.db")
    store.close()
    assert (tmp_path / "copy.db").read_text() == "precious"
