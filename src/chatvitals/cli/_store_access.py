"""The shared parts of `chatvitals store`: opening a store, its emptiness, and a table of facts."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from chatvitals.cli import _common
from chatvitals.conversations import settling
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import kind_of, open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatvitals.stores.base import Changes, Store


def with_store(url: str, action: Callable[[Store], None], *, create: bool = False) -> int:
    """Open the store of `url` for an action. Errors become sentences."""
    try:
        settings = Settings.load({"store": url}, {})
        if kind_of(settings.store).shared_by == "process":
            return _common.refused("store", "a store in memory belongs to its process: give a file or a server")
        opened = open_store(settings.store, create=create)
        try:
            action(opened)
        finally:
            with suppress(StoreUnavailableError):
                opened.close()
    except (SettingsError, StoreUnavailableError, ValueError) as error:
        return _common.refused("store", str(error))
    return _common.OK


def mark_silent(piece: Changes) -> None:
    """Name the silent contacts of a dump's piece. Not every store knows them."""
    piece.silent.update(key for key, (row, _) in piece.states.items() if settling.is_silent_row(row))


def is_empty(store: Store) -> bool:
    """Return whether a store is empty.

    Raises:
        StoreUnavailableError: the store cannot be read.

    """
    return not any(p.states or p.links or p.open_since or p.increments or p.maxima or p.documents for p in store.dump())


def table(out: TextIO, rows: Iterable[tuple[str, object]]) -> None:
    """Write names and values as two columns."""
    out.writelines(f"{name + ':':<28}{value}\n" for name, value in rows)
