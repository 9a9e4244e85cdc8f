"""What a Redis says of itself: for those who look whether a store is in good hands."""

from __future__ import annotations

import time
from contextlib import closing
from typing import NamedTuple

from chatvitals.stores import redis_url
from chatvitals.stores.base import StoreUnavailableError


class ServerFacts(NamedTuple):
    """The server that holds a store's keys; an empty text is what it did not tell."""

    shown: str
    """Its address, fit to be shown."""
    version: str = ""
    policy: str = ""
    """What it does when its memory is full; all but `noeviction` throws away parts of the store."""
    limit: int = 0
    """Bytes of memory that it may use; 0 for no limit."""
    role: str = ""
    skew: float | None = None
    """Seconds by which the clock of this machine is ahead of the server's."""


def look(url: str) -> ServerFacts:
    """Ask the server of a Redis store about itself.

    A managed one may not tell: then only the address is known.

    Raises:
        StoreUnavailableError: it cannot be reached, or redis-py is missing.

    """
    try:
        from chatvitals.stores.redis_connection import Link  # noqa: PLC0415 - redis-py is an extra
    except ImportError as error:
        raise StoreUnavailableError(
            "a Redis store needs redis-py, which is not installed: pip install 'chatvitals[redis]'"
        ) from error
    address = redis_url.parse(url)
    with closing(Link(address)) as link:
        link.ask("PING")
        try:
            info = link.ask("INFO")
            seconds, microseconds = link.ask("TIME")
        except StoreUnavailableError:
            return ServerFacts(address.shown)
    return ServerFacts(
        address.shown,
        version=str(info.get("redis_version", "")),
        policy=str(info.get("maxmemory_policy", "")),
        limit=int(info.get("maxmemory", 0)),
        role=str(info.get("role", "")),
        skew=time.time() - (int(seconds) + int(microseconds) / 1e6),
    )
