"""Reading a SQLite store's file from outside: for commands that must neither make nor change one."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.sqlite import SCHEMA_VERSION

if TYPE_CHECKING:
    import os

    from chatvitals.metrics.measurements import Cell

_WAIT_SECONDS = 2.0


def read_cells(path: str | os.PathLike[str]) -> dict[Cell, float]:
    """Return all metric cells of a store's file, which is opened for reading only and never made.

    Raises:
        StoreUnavailableError: there is no such file, or it is no store that this version can read.

    """
    if not Path(path).is_file():
        raise StoreUnavailableError(f"there is no store file {path}: is this the folder in which the bot runs?")
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=_WAIT_SECONDS)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version != SCHEMA_VERSION:
                raise StoreUnavailableError(
                    f"{path} is no store that this chatvitals can read (format {version}, this one knows "
                    f"{SCHEMA_VERSION})"
                )
            rows = connection.execute("SELECT family, labels, field, value FROM cells").fetchall()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreUnavailableError(f"the store file {path} cannot be read ({error})") from None
    return {(family, tuple(json.loads(labels)), field): value for family, labels, field, value in rows}
