"""URLs of Redis stores: what they mean, what is refused, and that no message shows a password."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import open_store, redis_url
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from chatvitals.stores.redis_url import RedisAddress


def test_one_server_goes_to_redis_py_as_it_is() -> None:
    """Login, database and options stay. What we need otherwise, and our prefix, do not get there."""
    address = redis_url.parse("rediss://me:p%40ss@h:7000/3?prefix=shop&ssl_ca_certs=%2Fca.pem&decode_responses=yes")
    assert address.url == "rediss://me:p%40ss@h:7000/3?ssl_ca_certs=%2Fca.pem"
    assert (address.kind, address.prefix, address.shown) == ("single", "shop", "h:7000")


def test_a_socket_is_named_by_its_path() -> None:
    """Three slashes, as the path is absolute."""
    address = redis_url.parse("unix:///run/redis.sock?db=2&password=hush")
    assert (address.url, address.shown) == ("unix:///run/redis.sock?db=2&password=hush", "/run/redis.sock")


def test_sentinels_have_a_master_a_login_and_a_database() -> None:
    """The form that others use, too. Ports default to the Sentinels'."""
    address = redis_url.parse("redis+sentinel://me:p%40ss@a,b:7000/main/4?sentinel_password=x")
    assert address.nodes == (("a", 26379), ("b", 7000))
    assert (address.service, address.db, address.username, address.password) == ("main", 4, "me", "p@ss")
    assert (address.options, address.tls) == ("sentinel_password=x", False)


def test_a_cluster_has_nodes_only() -> None:
    """IPv6 addresses stand in brackets."""
    address = redis_url.parse("rediss+cluster://:hush@[::1]:7000,b")
    assert (address.kind, address.nodes, address.tls) == ("cluster", (("::1", 7000), ("b", 6379)), True)
    assert (address.username, address.password) == (None, "hush")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://:hush@host:port/0", "the URL cannot be read"),
        ("redis://:hush@host/zero", "the number of the database"),
        ("redis://:hush@host/0?prefix=", "a text without spaces and braces"),
        ("redis://:hush@host/0?prefix={x}", "a text without spaces and braces"),
        ("unix://", "the path of the socket"),
        ("redis+sentinel://:hush@host", "the name of its master"),
        ("redis+sentinel://:hush@host/main/zero", "the number of the database"),
        ("redis+sentinel://:hush@/main", "at least one HOST:PORT"),
        ("redis+cluster://:hush@host/1", "one database only"),
        ("redis+cluster://:hush@host:port", "HOST or HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused_without_the_password(url: str, told: str) -> None:
    """The settings say what is wrong before anything is started."""
    with pytest.raises(SettingsError, match=told) as caught:
        Settings.load({"store": url}, environ={})
    assert "hush" not in str(caught.value)


def test_another_scheme_is_refused_with_what_there_is() -> None:
    """A store of another kind is named by its scheme alone."""
    with pytest.raises(SettingsError, match=r"or the URL of a Redis such as .redis://HOST:PORT/DB.") as caught:
        Settings.load({"store": "mysql://me:hush@host/db"}, environ={})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("redis://h", "redis://h?prefix=p"), ("redis://h/0?db=1", "redis://h/0?db=1&prefix=p"),
     ("redis://h?prefix=q", "redis://h?prefix=q")],
)  # fmt: skip
def test_a_prefix_is_added_where_there_is_none(url: str, expected: str) -> None:
    """Tests and scenarios share a server this way."""
    assert redis_url.with_prefix(url, "p") == expected


def test_an_address_shows_nothing() -> None:
    """It may be in a traceback's locals."""
    address: RedisAddress = redis_url.parse("redis+cluster://me:hush@h")
    assert "hush" not in repr(address)


def test_without_redis_py_the_bot_starts_and_whoever_uses_the_store_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named. Nothing is raised when the store is opened."""
    monkeypatch.delitem(sys.modules, "chatvitals.stores.redis_connection", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    store = open_store("redis://:hush@localhost")
    with pytest.raises(StoreUnavailableError, match=r"pip install 'chatvitals\[redis\]'"):
        store.cells()


@pytest.mark.parametrize("scheme", ["redis", "redis+sentinel"])
def test_an_option_that_redis_py_does_not_know_is_told(scheme: str) -> None:
    """It is not taken for an error of ours."""
    store = open_store(f"{scheme}://localhost{'/main' if 'sentinel' in scheme else ''}?colour=hush")
    with pytest.raises(StoreUnavailableError, match="redis-py does not accept the options") as caught:
        store.cells()
    assert "hush" not in str(caught.value)
