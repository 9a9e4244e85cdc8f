"""Stores of contact states and metric cells. `open_store` chooses a store by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.stores.kinds import kind_of

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

__all__ = ["kind_of", "open_store"]


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store of a URL: `memory:`, `sqlite:///PATH` or the URL of a Redis.

    Args:
        url: the URL of the store.
        create: whether to create a file that does not exist. Tools that only read must not create one.

    Raises:
        ValueError: no store has such a URL.

    """
    return kind_of(url).open(url, create)
