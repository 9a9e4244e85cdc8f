"""Errors of SQLite and of the system about a store file, as sentences."""

from __future__ import annotations

import sqlite3


def advice(name: str, error: Exception) -> str:
    """Return what to do about an error of the store file `name`."""
    text = str(error)
    if is_busy(error):
        return f"the store file {name} is locked by another process: chatvitals waits for it"
    if is_damage(error):
        return f"the store file {name} is damaged: move it away, and chatvitals creates a new file"
    if "disk" in text and "full" in text:
        return f"the disk that holds the store file {name} is full"
    return (
        f"the store file {name} cannot be used ({type(error).__name__}: {text}): "
        "check that the file or its folder exists and is writable"
    )


def is_damage(error: Exception) -> bool:
    """Return whether the file is no database, or not a whole one."""
    return "not a database" in str(error) or "malformed" in str(error)


def is_busy(error: Exception) -> bool:
    """Return whether another process has locked the file."""
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))
