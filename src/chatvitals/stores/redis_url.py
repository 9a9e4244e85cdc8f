"""Parsing of the URLs of Redis stores. It works without redis-py, so that settings can always be checked."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import msgspec

from chatvitals.stores.kinds import REDIS_SCHEMES

_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS), unix:///PATH?db=DB, redis+sentinel://HOST:PORT,…/SERVICE/DB "
    "or redis+cluster://HOST:PORT,… (rediss+… for TLS), each with USER:PASSWORD@ before the host where needed"
)
_SEVERAL = frozenset(scheme for scheme in REDIS_SCHEMES if "+" in scheme)
_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
_OURS = frozenset({"prefix", "decode_responses", "protocol"})  # answers must stay bytes, whatever the URL contains
DEFAULT_PREFIX = "chatvitals"


class RedisAddress(msgspec.Struct, frozen=True):
    """The address of a Redis. Its `repr` never shows the password."""

    kind: str  # "single", "sentinel" or "cluster"
    shown: str  # for messages: hosts and ports or the socket's path, never the login
    prefix: str  # without the braces of the hash tag
    url: str = ""  # for redis-py, of a single server
    nodes: tuple[tuple[str, int], ...] = ()
    service: str = ""  # name of a Sentinel's master
    db: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = None
    options: str = ""  # further options, as in the URL

    def __repr__(self) -> str:
        return f"RedisAddress(shown={self.shown!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # a struct's own shows everything
        return [("shown", self.shown)]


def parse(url: str) -> RedisAddress:
    """Parse a URL.

    Raises:
        ValueError: the URL is not valid for a Redis store. The message holds the reason and no secret.

    """
    scheme = url.partition(":")[0].lower()
    if scheme not in REDIS_SCHEMES:
        raise ValueError(f"a Redis store is {_FORMS}, not a URL with the scheme {scheme!r}")
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        if scheme in _SEVERAL:
            return _several(scheme, parts.netloc, parts.path, query)
        shown = unquote(parts.path) if scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"
    except ValueError as error:
        # the library's own messages may quote the part with the password
        told = str(error) if isinstance(error, _PlainError) else f"the URL cannot be read. A Redis store is {_FORMS}"
        raise ValueError(told) from None
    if scheme == "unix" and not parts.path:
        raise ValueError("a unix:// store needs the path of the socket: unix:///run/redis.sock")
    if scheme != "unix" and parts.path.strip("/") and not parts.path.strip("/").isdigit():
        raise ValueError(f"the path of a {scheme}:// store is the number of the database, such as /0")
    plain = f"{scheme}://{parts.netloc}{parts.path}?{_others(query)}"
    return RedisAddress("single", shown, _prefix(query), url=plain)


def with_prefix(url: str, prefix: str) -> str:
    """Return the URL of another store on the same Redis. A URL that has a prefix already stays as it is."""
    base, _, query = url.partition("?")
    if any(name == "prefix" for name, _ in parse_qsl(query, keep_blank_values=True)):
        return url
    return f"{base}?{query}&prefix={prefix}" if query else f"{base}?prefix={prefix}"


class _PlainError(ValueError):
    """An error whose message holds none of the URL's secrets."""


def _several(scheme: str, netloc: str, path: str, query: list[tuple[str, str]]) -> RedisAddress:
    kind = scheme.partition("+")[2]
    login, _, hosts = netloc.rpartition("@")
    username, _, password = login.partition(":")
    nodes = tuple(_node(text, _DEFAULT_PORTS[kind]) for text in hosts.split(",") if text)
    if not nodes:
        raise _PlainError(f"a {scheme}:// store needs at least one HOST:PORT")
    service, _, db = path.strip("/").partition("/")
    if kind == "sentinel" and not service:
        raise _PlainError(f"a {scheme}:// store needs the name of its master: {scheme}://HOST:PORT,HOST:PORT/NAME")
    if kind == "cluster" and (service or db) not in {"", "0"}:
        raise _PlainError("a cluster has one database only: leave the URL's path out")
    if db and not db.isdigit():
        raise _PlainError(f"what follows the master's name in a {scheme}:// URL is the number of the database")
    return RedisAddress(
        kind,
        ", ".join(f"{host}:{port}" for host, port in nodes) + (f" ({service})" if kind == "sentinel" else ""),
        _prefix(query),
        nodes=nodes,
        service=service if kind == "sentinel" else "",
        db=int(db or 0),
        tls=scheme.startswith("rediss"),
        username=unquote(username) or None,
        password=unquote(password) or None,
        options=_others(query),
    )


def _node(text: str, default_port: int) -> tuple[str, int]:
    host, port = text, ""
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in text:
        host, _, port = text.rpartition(":")
    if not host or (port and not port.isdigit()):
        raise _PlainError("each host of the URL must be HOST or HOST:PORT")
    return host, int(port or default_port)


def _others(query: list[tuple[str, str]]) -> str:
    return urlencode([(name, value) for name, value in query if name not in _OURS])


def _prefix(query: list[tuple[str, str]]) -> str:
    prefix = dict(query).get("prefix", DEFAULT_PREFIX)
    if not prefix or set(prefix) & set("{} ") or not prefix.isprintable():
        raise _PlainError("the prefix of a Redis store is a text without spaces and braces")
    return prefix
