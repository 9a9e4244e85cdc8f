"""A real Redis: an empty store, a server of one test, and a proxy that loses answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.stores.redis import RedisStore
from tests.helpers.redis_servers import Proxy, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for each answer: a busy machine is no slow Redis."""
    for limit in ("_CONNECT_SECONDS", "_COMMAND_SECONDS"):
        monkeypatch.setattr(f"chatvitals.stores.redis_connection.{limit}", 600.0)


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """An empty store."""
    opened = RedisStore(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test alone, whose data survive a crash."""
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as own:
        yield own


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    """A proxy before the session's server."""
    opened = Proxy(redis_server.port)
    yield opened
    opened.close()
