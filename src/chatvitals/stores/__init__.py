"""Where states and metric cells live together; `open_store` chooses by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatvitals.stores.base import Store


def open_store(url: str, *, create: bool = True) -> Store:
    """Return the store of a URL that `Settings` has checked: `memory:`, `sqlite:///PATH` or one of a Redis.

    Args:
        url: where the store is.
        create: whether to begin a file that is not there; who only looks must not.

    """
    if url == "memory:":
        from chatvitals.stores.memory import MemoryStore  # noqa: PLC0415 - only the store in use is imported

        return MemoryStore()
    if not url.startswith("sqlite:"):
        from chatvitals.stores.redis import RedisStore  # noqa: PLC0415

        return RedisStore(url)
    from chatvitals.stores.sqlite import SQLiteStore  # noqa: PLC0415

    return SQLiteStore(url.removeprefix("sqlite:///"), create=create)
