"""The default store: one SQLite file that all workers of a host share and that survives restarts."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatvitals.reducer.measures import Cell
    from chatvitals.stores.base import Changes, Row

SCHEMA_VERSION = 1
_BUSY_SECONDS = 2.0
_MOST_PARAMETERS = 500

_SCHEMA = """
CREATE TABLE contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL);
CREATE INDEX contacts_due ON contacts (due) WHERE due IS NOT NULL;
CREATE TABLE marks (kind TEXT, number TEXT, key INTEGER, at REAL, PRIMARY KEY (kind, number, key)) WITHOUT ROWID;
CREATE INDEX marks_at ON marks (kind, number, at);
CREATE TABLE cells (family TEXT, labels TEXT, field INTEGER, value REAL, PRIMARY KEY (family, labels, field))
    WITHOUT ROWID;
CREATE TABLE kept (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
"""
# a due time that stays is not written again: the index on it is the dearest part of a write
_UPDATE_STATE = "UPDATE contacts SET row = ? WHERE key = ?"
_PUT_STATE = (
    "INSERT INTO contacts (row, key, due) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = excluded.due"
)
_PUT_LINK = (
    "INSERT INTO contacts (key, row, due) VALUES (?, ?, NULL) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = NULL"
)
_PUT_MARK = (
    "INSERT INTO marks (kind, number, key, at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, number, key) DO UPDATE SET at = excluded.at"
)
_ADD_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = value + excluded.value"
)
_RAISE_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = max(value, excluded.value)"
)

_PUT_DOCUMENT = "INSERT INTO kept (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


class SQLiteStore:
    """A file in WAL mode; each thread of each process has its own connection, and a fork opens new ones."""

    remote: ClassVar[bool] = False

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._local = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[_SQLiteTransaction]:
        """Begin a transaction that holds the file's write lock, so that nothing can conflict."""
        with self._translated():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SQLiteTransaction(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one; a locked file is no reason to wait on the bot's path."""
        with self._translated():
            connection = self._connection()
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                return _SQLiteTransaction(connection).load(keys)
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, read in one statement and so from one moment."""
        with self._translated():
            rows = self._connection().execute("SELECT family, labels, field, value FROM cells").fetchall()
        texts = {labels: tuple(json.loads(labels)) for _, labels, _, _ in rows}
        return {(family, texts[labels], field): value for family, labels, field, value in rows}

    def earliest(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each kind and business number."""
        with self._translated():
            rows = self._connection().execute("SELECT kind, number, min(at) FROM marks GROUP BY kind, number")
            return {(kind, number): at for kind, number, at in rows}

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        with self._translated():
            return _document(self._connection(), name)

    def keep_first(self, name: str, value: bytes) -> bytes:
        """Store `value` unless there is one, and return the one that is there."""
        with self._translated():
            connection = self._connection()
            connection.execute("INSERT INTO kept (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
            return _document(connection, name) or value

    def close(self) -> None:
        """Close this thread's connection; those of other threads close with them."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            if self._local.pid == os.getpid():
                connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's and the system's errors into one that says what to do, and start afresh after them."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if not _is_busy(error):
                self.close()
            raise StoreUnavailableError(self._advice(error)) from error

    def _advice(self, error: Exception) -> str:
        text = str(error)
        if _is_busy(error):
            return f"the store file {self.path.name} is locked by another process; waiting for it"
        if "not a database" in text or "malformed" in text:
            return f"the store file {self.path.name} is damaged: move it away, and a new one is begun"
        if "disk" in text and "full" in text:
            return f"the disk that holds the store file {self.path.name} is full"
        return (
            f"the store file {self.path.name} cannot be used ({type(error).__name__}: {text}); "
            "check that its folder exists and may be written to"
        )

    def _connection(self) -> sqlite3.Connection:
        local = self._local
        connection: sqlite3.Connection | None = getattr(local, "connection", None)
        if connection is not None:
            if local.pid == os.getpid() and _inode(self.path) == local.inode:
                return connection
            if local.pid == os.getpid():
                connection.close()  # the file was removed or replaced: what it is now counts
            # a connection that a fork has copied is never touched again, not even to close it
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        local.connection, local.pid, local.inode = connection, os.getpid(), _inode(self.path)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last moments, never consistency
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise StoreUnavailableError(
                f"the store file {self.path.name} was written by a newer chatvitals (format {version}, this one knows "
                f"{SCHEMA_VERSION}): upgrade chatvitals, or use another file"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:  # no other process was faster
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")


class _SQLiteTransaction:
    """Reads and one commit on a connection that holds the write lock."""

    remote: ClassVar[bool] = False

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._dues: dict[int, float | None] = {}  # as they were loaded

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one."""
        wanted = list(keys)
        found: dict[int, Row] = {}
        for start in range(0, len(wanted), _MOST_PARAMETERS):
            part = wanted[start : start + _MOST_PARAMETERS]
            marks = ",".join("?" * len(part))
            found |= self._read(f"SELECT key, row, due FROM contacts WHERE key IN ({marks})", part)  # noqa: S608 - question marks only
        return found

    def due(self, now: float, limit: int) -> dict[int, bytes]:
        """Return states that are due, the earliest first."""
        return self._read("SELECT key, row, due FROM contacts WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))

    def _read(self, query: str, parameters: Sequence[float]) -> dict[int, Any]:
        found = {}
        for key, row, due in self._connection.execute(query, parameters):
            found[key] = row
            self._dues[key] = due
        return found

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        return _document(self._connection, name)

    def commit(self, changes: Changes) -> None:
        """Write everything and release the lock."""
        execute = self._connection.execute
        many = self._connection.executemany
        same, moved = [], []
        for key, (state, due) in changes.states.items():
            if self._dues.get(key) == due:
                same.append((state, key))
            else:
                moved.append((state, key, due))
        many(_UPDATE_STATE, same)
        many(_PUT_STATE, moved)
        many(_PUT_LINK, changes.links.items())
        many("DELETE FROM contacts WHERE key = ?", [(key,) for key in changes.removed])
        gone = [mark for mark, at in changes.marks.items() if at is None]
        many("DELETE FROM marks WHERE kind = ? AND number = ? AND key = ?", gone)
        many(_PUT_MARK, [(*mark, at) for mark, at in changes.marks.items() if at is not None])
        many(_ADD_CELL, _cell_rows(changes.adds))
        many(_RAISE_CELL, _cell_rows(changes.latest))
        many(_PUT_DOCUMENT, changes.documents.items())
        execute("COMMIT")


def _document(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


def _cell_rows(cells: dict[Cell, float]) -> list[tuple[str, str, int, float]]:
    return [(family, json.dumps(labels), field, value) for (family, labels, field), value in cells.items()]


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
