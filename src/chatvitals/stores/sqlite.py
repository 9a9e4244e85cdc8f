"""The default store, which is one SQLite file. All workers of a host share it, and it survives restarts."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote
from weakref import WeakSet

from chatvitals.runtime import fork_hooks, greenlets
from chatvitals.stores import sqlite_contacts, sqlite_errors
from chatvitals.stores import sqlite_schema as statements
from chatvitals.stores.base import (
    Changes,
    RefusedDataError,
    StoreInfo,
    StoreMistakeError,
    StoreUnavailableError,
    is_free,
    is_label,
)
from chatvitals.stores.daily_walk import DailyWalk
from chatvitals.stores.sqlite_contacts import write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Row

_BUSY_SECONDS = 2.0
_LOOK_SECONDS = 0.01  # between two attempts under gevent
_DUMPED_AT_ONCE = 1000
_BACKED_UP_AT_ONCE = 256  # pages
_REFUSED = (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)


_copied: list[statements.Connection] = []
"""Connections that a fork has copied. To close one, even by garbage collection, would break its owner's locks."""


class SQLiteStore:
    """A file in WAL mode. Each thread of each process has its own connection.

    Before a fork, all connections are closed. SQLite notes a process's locks in its memory, and a child would take them
    for its own.
    """

    remote: ClassVar[bool] = False

    def __init__(self, path: str | os.PathLike[str], *, create: bool = True) -> None:
        self.path: Path = Path(path)
        self.unreadable: int = 0
        self._mode = "rwc" if create else "rw"
        self._begin()
        fork_hooks.watch(self)

    def _begin(self) -> None:
        self._locals: threading.local | None = None
        self._open: WeakSet[statements.Connection] = WeakSet()
        self._idle = threading.Condition()
        self._walk = DailyWalk()
        self._uses = 0
        self._forking = False

    def before_fork(self) -> None:
        """Wait until no thread uses the file, and close all connections."""
        with self._idle:
            self._forking = True
            if self._idle.wait_for(lambda: not self._uses, _BUSY_SECONDS + 0.5):
                self._close_all()

    def after_fork_in_parent(self) -> None:
        """Let threads open their connections again."""
        with self._idle:
            self._forking = False
            self._idle.notify_all()

    def after_fork_in_child(self) -> None:
        """Start without connections."""
        _copied.extend(self._open)
        self._begin()

    @contextmanager
    def transaction(self) -> Iterator[_SQLiteTransaction]:
        """Begin a transaction. It holds the file's write lock, so there are no conflicts."""
        with self._translated():
            connection = self._connection()
            with _writing(connection):
                yield _SQLiteTransaction(connection, self._walk)

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one. The bot must not wait for a locked file."""
        with self._translated():
            connection = self._connection()
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                return sqlite_contacts.Contacts(connection, self._walk).load(keys)
            finally:
                _limit_waits(connection)

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, read in one statement and so as of one time."""
        with self._translated():
            cells, self.unreadable = statements.all_cells(self._connection())
        return cells

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each kind and business number."""
        with self._translated():
            rows = self._connection().execute("SELECT kind, number, min(at) FROM open_since GROUP BY kind, number")
            return {(kind, number): at for kind, number, at in rows if is_label(number) and isinstance(at, float)}

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        with self._translated():
            return _document(self._connection(), name)

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store `value` if nothing is stored there yet. Return the stored value."""
        with self._translated():
            connection = self._connection()
            found = _document(connection, name)  # first, because a read never waits
            if found is not None:
                return found
            with _writing(connection):
                connection.execute(
                    "INSERT INTO documents (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value)
                )
                connection.execute("COMMIT")
            return _document(connection, name) or value

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Give or renew a lease. Return False while another holder has it, which needs no lock."""
        with self._translated():
            connection = self._connection()
            if not _is_free(connection, name, holder, now):
                return False
            with _writing(connection):
                free = _is_free(connection, name, holder, now)
                if free:
                    connection.execute(statements.PUT_LEASE, (name, holder, now, now + seconds))
                connection.execute("COMMIT")
            return free

    def advice(self) -> str:
        """Return the empty string, because nothing endangers this store."""
        return ""

    def about(self) -> StoreInfo:
        """Return the format of the file, and its size with its log."""
        with self._translated():
            version = self._connection().execute("PRAGMA user_version").fetchone()[0]
            files = (self.path, self.path.with_name(self.path.name + "-wal"))
            return StoreInfo("sqlite", version, sum(file.stat().st_size for file in files if file.exists()))

    def dump(self) -> Iterator[Changes]:
        """Yield everything in pieces, read in one transaction that blocks no writer."""
        with self._translated():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield from _pieces(connection)
            finally:
                connection.execute("ROLLBACK")

    def compact(self) -> None:
        """Rewrite the file without its free space."""
        with self._translated():
            connection = self._connection()
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def backup(self, path: str | os.PathLike[str]) -> None:
        """Copy the store into a new file while workers go on writing.

        The copy is made beside the target and moved when it is complete, so that a kill leaves no partial copy there.

        Raises:
            FileExistsError: the target exists.
            StoreUnavailableError: the store cannot be read, or the copy cannot be written.

        """
        target = Path(path)
        if target.exists():
            raise FileExistsError(f"the file {target} exists already: choose another name")
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        with self._translated():
            connection = self._connection()
            part.unlink(missing_ok=True)
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            try:
                copy = sqlite3.connect(part)
                try:
                    connection.backup(copy, pages=_BACKED_UP_AT_ONCE, sleep=0.01)
                    copy.execute("PRAGMA journal_mode = DELETE")
                finally:
                    copy.close()
                os.link(part, target)  # unlike a rename, it never replaces a file that was created meanwhile
            finally:
                part.unlink()

    def close(self) -> None:
        """Close all connections. While another thread uses its connection, close only this thread's."""
        with self._idle:
            if self._uses:
                self._close_own()
            else:
                self._close_all()

    @property
    def _local(self) -> threading.local:
        """The connection of this thread. It is created late, because gevent replaces threads after a fork."""
        with self._idle:
            if self._locals is None:
                self._locals = threading.local()
            return self._locals

    def _close_own(self) -> None:
        connection: statements.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            connection.close()

    def _close_all(self) -> None:
        for connection in list(self._open):
            connection.close()
        self._locals = None
        self._open = WeakSet()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn errors of SQLite and the system into errors with advice, and reconnect after them."""
        with self._idle:
            while self._forking:
                self._idle.wait()
            self._uses += 1
        try:
            yield
        except _REFUSED as error:
            if "closed" not in str(error):
                raise RefusedDataError(f"the store refuses a value ({type(error).__name__})") from error
            raise StoreUnavailableError(sqlite_errors.advice(self.path, error)) from error
        except (sqlite3.Error, OSError) as error:
            if not sqlite_errors.is_busy(error):
                self._close_own()
            kind = StoreMistakeError if sqlite_errors.is_damage(error) else StoreUnavailableError
            raise kind(sqlite_errors.advice(self.path, error)) from error
        finally:
            with self._idle:
                self._uses -= 1
                if self._forking:
                    self._idle.notify_all()

    def _connection(self) -> sqlite3.Connection:
        local = self._local
        connection: statements.Connection | None = getattr(local, "connection", None)
        if connection is not None:
            if _inode(self.path) == local.inode:
                return connection
            connection.close()  # the file was removed or replaced, and the new file counts
        if self._mode == "rwc":
            self._create()
        statements.refuse_one_byte(self.path)
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={self._mode}",
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=statements.Connection,
            uri=True,
        )
        try:
            self._prepare(connection)
            _limit_waits(connection)
        except BaseException:
            connection.close()
            raise
        local.connection, local.inode = connection, _inode(self.path)
        with self._idle:
            self._open.add(connection)
        return connection

    def _create(self) -> None:
        """Create a missing file that only its owner can read. It holds hashes of people and, by default, their key.

        Without `O_EXCL`, a symbolic link to a missing file is followed. SQLite would create that file for all.
        """
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may lose the last moments, but not consistency
        if statements.version_of(connection, self.path.name) < statements.SCHEMA_VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            statements.bring_up_to_date(connection, self.path.name)


class _SQLiteTransaction:
    """Reads and one commit on a connection that holds the write lock."""

    remote: ClassVar[bool] = False

    def __init__(self, connection: sqlite3.Connection, walk: DailyWalk) -> None:
        self._connection = connection
        self._contacts = sqlite_contacts.Contacts(connection, walk)
        self.load = self._contacts.load
        self.due = self._contacts.due

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        return _document(self._connection, name)

    def commit(self, changes: Changes) -> None:
        """Write all changes and release the lock."""
        self._contacts.commit(changes)
        marks = changes.open_since.items()
        for statement, rows in (
            (statements.DELETE_MARK, [mark for mark, at in marks if at is None]),
            (statements.PUT_MARK, [(*mark, at) for mark, at in marks if at is not None]),
            (statements.ADD_CELL, _cell_rows(changes.increments)),
            (statements.RAISE_CELL, [(*row, changes.latest) for row in _cell_rows(changes.maxima)]),
            (statements.DROP_CELL, [(family, _text(labels), field) for family, labels, field in changes.dropped]),
            (statements.PUT_DOCUMENT, changes.documents.items()),
        ):
            write_rows(self._connection, statement, rows)
        self._connection.execute("COMMIT")


def _document(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute("SELECT value FROM documents WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row[0])


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Begin a transaction with the write lock. Roll it back unless the block commits it."""
    _take_write_lock(connection)
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _take_write_lock(connection: sqlite3.Connection) -> None:
    """Wait for the write lock for `_BUSY_SECONDS` at most. Under gevent, other greenlets go on meanwhile."""
    latest = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if greenlets.has_real_threads() or not sqlite_errors.is_busy(error) or time.monotonic() >= latest:
                raise
            greenlets.sleep(_LOOK_SECONDS)
        else:
            return


def _limit_waits(connection: sqlite3.Connection) -> None:
    """Let SQLite wait for locks, unless greenlets would wait with it."""
    seconds = _BUSY_SECONDS if greenlets.has_real_threads() else 0.0
    connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def _is_free(connection: sqlite3.Connection, name: str, holder: str, now: float) -> bool:
    lease = connection.execute("SELECT holder, given, ends FROM leases WHERE name = ?", (name,)).fetchone()
    return lease is None or is_free(lease, holder, now)


def _pieces(connection: sqlite3.Connection) -> Iterator[Changes]:
    yield from sqlite_contacts.pieces(connection)
    marks = connection.execute("SELECT kind, number, key, at FROM open_since")
    while rows := marks.fetchmany(_DUMPED_AT_ONCE):
        yield Changes(open_since={(kind, number, key): at for kind, number, key, at in rows})
    documents = connection.execute("SELECT name, value FROM documents")
    yield Changes(increments=statements.all_cells(connection)[0], documents=dict(documents))


def _cell_rows(cells: dict[Cell, float]) -> list[tuple[str, str, int, float]]:
    return [(family, _text(labels), field, value) for (family, labels, field), value in cells.items()]


@lru_cache(maxsize=4096)  # successive batches add to the same cells
def _text(labels: tuple[str, ...]) -> str:
    return json.dumps(labels)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
