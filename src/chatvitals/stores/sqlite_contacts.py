"""The contacts of the SQLite store: open contacts by the time of their next work, silent contacts by their key.

A turn takes a contact from its far deletion to a near deadline and back. With one table and an index on the time, each
turn would write four pages among a million contacts. An open contact has its row in a small table with an index. Its
older row stays among the silent contacts until the contact is silent again, and counts for nothing.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from chatvitals.runtime import pacing
from chatvitals.stores.base import Changes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from chatvitals.stores.base import Row
    from chatvitals.stores.daily_walk import DailyWalk

_MOST_PARAMETERS = 250
_DUMPED_AT_ONCE = 1000
_WRITTEN_AT_ONCE = 16  # rows
_WALKED_AT_ONCE = 500  # rows, which takes a tenth of a millisecond

_DUE = "SELECT key, row, due FROM open_contacts WHERE due <= ? ORDER BY due LIMIT ?"
_WALKED = (
    "SELECT max(key), count(*) FROM (SELECT key FROM silent_contacts WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?)"
)
_NOT_OPEN = "NOT EXISTS (SELECT 1 FROM open_contacts WHERE open_contacts.key = silent_contacts.key)"
_EXPIRED = f"SELECT key, row FROM silent_contacts WHERE key BETWEEN ? AND ? AND due <= ? AND {_NOT_OPEN}"  # noqa: S608 - constants
_SILENT = f"SELECT key, row, due FROM silent_contacts WHERE {_NOT_OPEN}"  # noqa: S608 - as above
# an unchanged due time is not written again, because the index on it is the most expensive part of a write
_UPDATE_OPEN = "UPDATE open_contacts SET row = ? WHERE key = ?"
_PUT_OPEN = (
    "INSERT INTO open_contacts (row, key, due) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = excluded.due"
)
_PUT_SILENT = (
    "INSERT INTO silent_contacts (row, key, due) VALUES (?, ?, ?) "
    "ON CONFLICT (key) DO UPDATE SET row = excluded.row, due = excluded.due"
)


class Contacts:
    """The contacts as one transaction sees them."""

    def __init__(self, connection: sqlite3.Connection, walk: DailyWalk) -> None:
        self._connection = connection
        self._walk = walk
        self._dues: dict[int, float] = {}  # of open contacts, when they were loaded

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one."""
        wanted = list(keys)
        found: dict[int, Row] = {}
        for start in range(0, len(wanted), _MOST_PARAMETERS):
            part = wanted[start : start + _MOST_PARAMETERS]
            found |= self._open(f"SELECT key, row, due FROM open_contacts WHERE key IN ({_marks(part)})", part)  # noqa: S608 - question marks only
            silent = [key for key in part if key not in found]  # after them: no row may slip from one to the other
            if silent:
                query = f"SELECT key, row FROM silent_contacts WHERE key IN ({_marks(silent)})"  # noqa: S608 - as above
                found.update(self._connection.execute(query, silent))
            pacing.give_way()
        return found

    def due(self, now: float, limit: int) -> dict[int, bytes]:
        """Return open contacts that are due, the earliest first, then expired contacts that the walk has found."""
        found = self._open(_DUE, (now, limit))
        left = min(limit - len(found), _WALKED_AT_ONCE)
        while left > 0 and (stretch := self._walk.stretch(now)):
            first, last = stretch
            reached, looked_at = self._connection.execute(_WALKED, (first, last, left)).fetchone()
            if looked_at == left:
                last = reached
            found.update(self._connection.execute(_EXPIRED, (first, last, now)))
            self._walk.seen(last)
            left -= looked_at
        return found

    def commit(self, changes: Changes) -> None:
        """Write states and links, and delete the removed keys. The caller ends the transaction."""
        same, moved, silent = [], [], []
        for key, (state, due) in changes.states.items():
            if key in changes.silent:
                silent.append((state, key, due))
            elif self._dues.get(key) == due:
                same.append((state, key))
            else:
                moved.append((state, key, due))
        write_rows(self._connection, _UPDATE_OPEN, same)
        write_rows(self._connection, _PUT_OPEN, moved)
        write_rows(self._connection, _PUT_SILENT, silent)
        write_rows(self._connection, _PUT_SILENT, [(contact, key, None) for key, contact in changes.links.items()])
        write_rows(self._connection, "DELETE FROM silent_contacts WHERE key = ?", [(key,) for key in changes.removed])
        closed = [*(key for _, key, _ in silent), *changes.links, *changes.removed]
        write_rows(self._connection, "DELETE FROM open_contacts WHERE key = ?", [(key,) for key in closed])

    def _open(self, query: str, parameters: Sequence[float]) -> dict[int, Any]:
        found = {}
        for key, row, due in self._connection.execute(query, parameters):
            found[key] = row
            self._dues[key] = due
        return found


def pieces(connection: sqlite3.Connection) -> Iterator[Changes]:
    """Yield all contacts in pieces, as of one time where the connection is in a transaction."""
    rows = connection.execute("SELECT key, row, due FROM open_contacts")
    while piece := rows.fetchmany(_DUMPED_AT_ONCE):
        yield Changes(states={key: (row, due) for key, row, due in piece if isinstance(row, bytes)})
    rows = connection.execute(_SILENT)
    while piece := rows.fetchmany(_DUMPED_AT_ONCE):
        states = {key: (row, due) for key, row, due in piece if isinstance(row, bytes)}
        links = {key: row for key, row, _ in piece if isinstance(row, int)}
        yield Changes(states=states, links=links)


def write_rows(connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Execute a statement for each row, and give way after a few rows. SQLite's own work keeps a core busy, too."""
    left = iter(rows)
    while piece := list(islice(left, _WRITTEN_AT_ONCE)):
        connection.executemany(statement, piece)
        pacing.give_way()


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
