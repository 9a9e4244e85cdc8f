"""`chatvitals store backup` and `restore`: copy a store to a file, and fill a store from such a file."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from chatvitals.cli import _common
from chatvitals.cli._store_access import is_empty, mark_silent, table, with_store
from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    import argparse

    from chatvitals.stores.base import Store

RESTORING = "restoring"
"""The document that marks a store with an unfinished restore."""


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `backup` and `restore` to the actions of `chatvitals store`."""
    save = actions.add_parser(
        "backup",
        help="copy a store into a new file while the bot runs",
        description="Copy a store into a new SQLite file while the bot runs. The file holds the identity key, unless "
        "the key is a setting: keep it as safe as the store. FILE appears when the copy is complete.",
    )
    save.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    save.add_argument("file", metavar="FILE", type=Path)
    save.set_defaults(run=lambda options: _backup(options.url, options.file))
    load = actions.add_parser(
        "restore",
        help="fill an empty store from the file of a backup",
        description="Fill an empty store of any kind from the file of a backup. Stop the bot first. After an "
        "interruption, the same command begins anew.",
    )
    load.add_argument("file", metavar="FILE", type=Path)
    load.add_argument("url", metavar="URL", help="the store, such as sqlite:///chatvitals.db")
    load.set_defaults(run=lambda options: _restore(options.file, options.url))


def backup(store: Store, target: Path) -> None:
    """Copy a store into a new SQLite file. An interrupted copy leaves nothing at `target`.

    Raises:
        FileExistsError: the target exists.
        StoreUnavailableError: the store cannot be read, or the copy cannot be written.

    """
    if isinstance(store, SQLiteStore):
        store.backup(target)
        return
    if target.exists():
        raise FileExistsError(f"the file {target} exists already: choose another name")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with closing(SQLiteStore(part)) as copy:
            restore(store, copy)
        os.link(part, target)
    finally:
        for name in (part, part.with_name(part.name + "-wal"), part.with_name(part.name + "-shm")):
            name.unlink(missing_ok=True)


def restore(source: Store, target: Store) -> int:
    """Fill an empty store, or a store with an interrupted restore. Return the number of contacts.

    Contacts may be written twice. Amounts are written with the last piece, in the commit that ends the restore.

    Raises:
        StoreUnavailableError: one of the stores cannot be used. The call may be repeated.
        ValueError: the target holds other data.

    """
    source.about()  # first, because a source that is refused should leave no empty target
    if target.document(RESTORING) != b"1" and not is_empty(target):
        raise ValueError(
            "the target is not empty, so numbers would be added up: choose another store, or delete it first"
        )
    _commit(target, Changes(documents={RESTORING: b"1"}))
    contacts = 0
    last = Changes()
    for piece in source.dump():
        contacts += len(piece.states)
        last.increments.update(piece.increments)
        last.documents.update(piece.documents)
        mark_silent(piece)
        _commit(target, Changes(piece.states, piece.silent, piece.links, open_since=piece.open_since))
    last.documents[RESTORING] = b""
    _commit(target, last)
    return contacts


def _commit(store: Store, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def _backup(url: str, target: Path) -> int:
    def save(store: Store) -> None:
        try:
            backup(store, target)
        except OSError as error:
            raise StoreUnavailableError(str(error)) from error
        table(sys.stdout, [("backup", target), ("bytes", target.stat().st_size)])

    return with_store(url, save)


def _restore(source: Path, url: str) -> int:
    if not source.is_file():
        return _common.refused("store", f"there is no file {source}")

    def load(store: Store) -> None:
        with closing(SQLiteStore(source, create=False)) as copy:
            table(sys.stdout, [("contacts restored", restore(copy, store))])

    return with_store(url, load, create=True)
