"""Where states and metric cells live together; `open_store` chooses by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.stores.kinds import kind_of

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

__all__ = ["kind_of", "open_store"]


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store of a URL: `memory:`, `sqlite:///PATH` or one of a Redis.

    Args:
        url: where the store is.
        create: whether to create a file that does not exist. Tools that only read must not.

    Raises:
        ValueError: no store has such a URL.

    """
    return kind_of(url).open(url, create)
