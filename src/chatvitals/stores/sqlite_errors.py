"""Errors of SQLite and of the system about a store file, as sentences."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def advice(path: Path, error: Exception) -> str:
    """Return what to do about an error of the store file `path`."""
    text, name = str(error), path.name
    if isinstance(error, sqlite3.OperationalError) and "unable to open" in text and not path.is_file():
        return no_file(path)
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


def no_file(path: Path) -> str:
    """Return what to do about a path at which there is no file."""
    if path.is_dir():
        return f"{path} is a folder: name a file in it, such as sqlite:///{path / 'chatvitals.db'}"
    return f"there is no store file {path}: look in the folder in which the bot runs"


def is_damage(error: Exception) -> bool:
    """Return whether the file is no database, or not a whole one."""
    return "not a database" in str(error) or "malformed" in str(error)


def is_busy(error: Exception) -> bool:
    """Return whether another process has locked the file."""
    return isinstance(error, sqlite3.OperationalError) and ("locked" in str(error) or "busy" in str(error))
