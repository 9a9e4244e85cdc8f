"""The SQL of the SQLite store, the versions of its format, and read-only access to a file."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chatvitals.conversations.settling import is_silent_row
from chatvitals.runtime import pacing
from chatvitals.stores import sqlite_errors
from chatvitals.stores.base import StoreMistakeError, StoreUnavailableError, is_label

if TYPE_CHECKING:
    import os

    from chatvitals.metrics.measurements import Cell

_logger = logging.getLogger(__name__)
SCHEMA_VERSION = 3
APPLICATION_ID = 0x63767473
"""The `PRAGMA application_id` that marks a file as a store of chatvitals."""

SCHEMA = """
CREATE TABLE silent_contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL);
CREATE TABLE open_contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL NOT NULL);
CREATE INDEX open_contacts_due ON open_contacts (due);
CREATE TABLE open_since (kind TEXT, number TEXT, key INTEGER, at REAL, PRIMARY KEY (kind, number, key)) WITHOUT ROWID;
CREATE INDEX open_since_at ON open_since (kind, number, at);
CREATE TABLE cells (family TEXT, labels TEXT, field INTEGER, value REAL, PRIMARY KEY (family, labels, field))
    WITHOUT ROWID;
CREATE TABLE documents (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT, given REAL, ends REAL) WITHOUT ROWID;
"""
FROM_1_TO_2 = """
ALTER TABLE marks RENAME TO open_since;
DROP INDEX marks_at;
CREATE INDEX open_since_at ON open_since (kind, number, at);
ALTER TABLE kept RENAME TO documents;
DELETE FROM documents WHERE name LIKE 'lease:%';
CREATE TABLE leases (name TEXT PRIMARY KEY, holder TEXT, given REAL, ends REAL) WITHOUT ROWID;
"""
# a running worker of format 2 must not go on writing to a table of the same name
FROM_2_TO_3 = """
ALTER TABLE contacts RENAME TO silent_contacts;
DROP INDEX contacts_due;
CREATE TABLE open_contacts (key INTEGER PRIMARY KEY, row NOT NULL, due REAL NOT NULL);
INSERT INTO open_contacts SELECT key, row, due FROM silent_contacts WHERE due IS NOT NULL AND NOT is_silent(row);
CREATE INDEX open_contacts_due ON open_contacts (due);
"""
_CELLS_AT_ONCE = 50
_decode_labels = msgspec.json.Decoder(tuple[str, ...]).decode
_TABLES_OF_1 = {"contacts", "marks", "cells", "kept"}  # this format had no application id

DELETE_MARK = "DELETE FROM open_since WHERE kind = ? AND number = ? AND key = ?"
PUT_MARK = (
    "INSERT INTO open_since (kind, number, key, at) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (kind, number, key) DO UPDATE SET at = excluded.at"
)
ADD_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = value + excluded.value"
)
RAISE_CELL = (
    "INSERT INTO cells (family, labels, field, value) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (family, labels, field) DO UPDATE SET value = "
    "CASE WHEN value > ? THEN excluded.value ELSE max(value, excluded.value) END"
)
DROP_CELL = "DELETE FROM cells WHERE family = ? AND labels = ? AND field = ?"
PUT_DOCUMENT = (
    "INSERT INTO documents (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
PUT_LEASE = "INSERT OR REPLACE INTO leases (name, holder, given, ends) VALUES (?, ?, ?, ?)"


class Connection(sqlite3.Connection):
    """A connection that can be referenced weakly. It belongs to its thread and closes with it."""

    def __del__(self) -> None:
        """Close it, since Python 3.13 warns about an open connection that is collected."""
        with suppress(sqlite3.Error):
            self.close()


def refuse_one_byte(path: Path) -> None:
    """Refuse a file of a single byte. SQLite takes it for an empty database, and would write over it.

    Raises:
        StoreMistakeError: the file has one byte.

    """
    if path.is_file() and path.stat().st_size == 1:
        raise StoreMistakeError(
            f"the file {path.name} is not a database and stays untouched: set `store` to another file for chatvitals"
        )


def version_of(connection: sqlite3.Connection, name: str) -> int:
    """Return the format of an open file, or 0 for an empty file. Nothing is written.

    Args:
        connection: connection to the file.
        name: name of the file, for messages.

    Raises:
        StoreMistakeError: the file is the database of another application or of a newer chatvitals.

    """
    version, application, tables = _marks_of(connection)
    if application == APPLICATION_ID:
        ours = version > 1
    elif application or version not in {0, 1}:
        ours = False
    else:
        ours = tables == _TABLES_OF_1 if version else not tables
    if not ours:
        raise StoreMistakeError(
            f"the file {name} is the database of another application and stays untouched: "
            "set `store` to another file for chatvitals"
        )
    if version > SCHEMA_VERSION:
        raise StoreMistakeError(
            f"the store file {name} was written by a newer chatvitals (format {version}, this one knows "
            f"{SCHEMA_VERSION}): upgrade chatvitals, or use another file"
        )
    return version


def _marks_of(connection: sqlite3.Connection) -> tuple[int, int, set[str]]:
    """Return version, application id and tables of a file, as of one time. Another worker may just be creating it."""
    alone = not connection.in_transaction
    if alone:
        connection.execute("BEGIN")
    try:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        application: int = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = {table for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        if alone and connection.in_transaction:
            connection.execute("ROLLBACK")
    return version, application, tables


def bring_up_to_date(connection: sqlite3.Connection, name: str) -> None:
    """Create the tables of an empty file, or migrate an older format. It happens in one transaction.

    Raises:
        StoreUnavailableError: see `version_of`.

    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = version_of(connection, name)  # again, because another process may have been faster
        if version < SCHEMA_VERSION:
            if version:
                _logger.info("The store file %s is migrated. It takes seconds for a million contacts.", name)
                connection.create_function("is_silent", 1, is_silent_row, deterministic=True)
            for script in (FROM_1_TO_2, FROM_2_TO_3)[version - 1 :] if version else (SCHEMA,):
                for statement in script.split(";\n"):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def all_cells(connection: sqlite3.Connection) -> tuple[dict[Cell, float], int]:
    """Return all metric cells, read in one statement and so as of one time, and the number of unreadable rows.

    It gives way to other threads between its pieces, because a store of many business numbers has many cells.
    """
    cells: dict[Cell, float] = {}
    unreadable = 0
    cursor = connection.execute("SELECT family, labels, field, value FROM cells")
    try:
        while rows := cursor.fetchmany(_CELLS_AT_ONCE):
            for family, text, field, value in rows:
                labels = _labels(text)
                if labels is None or not isinstance(value, float) or not -inf < value < inf or type(field) is not int:
                    unreadable += 1
                else:
                    cells[family, labels, field] = value
            pacing.give_way()
    finally:
        cursor.close()  # an open cursor would keep the log of the file from being emptied
    return cells, unreadable


def read_cells(path: str | os.PathLike[str]) -> dict[Cell, float]:
    """Return all metric cells of a store's file. The file is opened read-only and never created.

    Raises:
        StoreUnavailableError: there is no such file, or this version cannot read it as a store.

    """
    if not Path(path).is_file():
        raise StoreUnavailableError(sqlite_errors.no_file(Path(path)))
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            if not version_of(connection, str(path)):
                raise StoreUnavailableError(f"the file {path} is empty and not a store of chatvitals")
            return all_cells(connection)[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the store file {path} cannot be read ({error})") from None


@lru_cache(maxsize=32_768)  # a scrape reads the labels of the last scrape again
def _labels(text: str) -> tuple[str, ...] | None:
    try:
        labels = _decode_labels(text)
    except (msgspec.MsgspecError, TypeError, UnicodeError):
        return None
    return labels if all(map(is_label, labels)) else None
