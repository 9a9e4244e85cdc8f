"""The kinds of stores and their URLs. A new store is added only to this table."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Final, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store

REDIS_SCHEMES: Final = frozenset(
    {"redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"}
)
_FILE: Final = "sqlite:///"


class StoreKind(msgspec.Struct, frozen=True):
    """One kind of store.

    Attributes:
        name: one word for messages, and for tools that treat this kind separately.
        schemes: the schemes of its URLs, in lower case.
        shared_by: which processes share the numbers: one process, the processes of one host, or several hosts.
        check: raises ValueError for a wrong URL of this scheme. The message holds no secret.
        open: returns the store of a URL. The flag says whether to create a missing store.
        read: returns all metric cells of an existing store without a change. None where other processes cannot read it.

    """

    name: str
    schemes: frozenset[str]
    shared_by: Literal["process", "host", "hosts"]
    check: Callable[[str], None]
    open: Callable[[str, bool], Store]
    read: Callable[[str], dict[Cell, float]] | None


def kind_of(url: str) -> StoreKind:
    """Return the kind of store for a URL.

    Raises:
        ValueError: no store has such a URL. The message holds no secret.

    """
    scheme, colon, _ = url.partition(":")
    for kind in KINDS:
        if colon and scheme.lower() in kind.schemes:
            kind.check(url)
            return kind
    given = f"a URL with the scheme {scheme!r}" if colon else "a URL without a scheme"  # the rest may hold a password
    raise ValueError(_FORMS.format(given=given))


def file_of(url: str) -> str:
    """Return the path in the URL of a file store. In SQLite's own URLs, two slashes begin the name of a host."""
    path = url.removeprefix(_FILE)
    return f"/{path.lstrip('/')}" if path.startswith("//") else path


def _check_memory(url: str) -> None:
    if url != "memory:":
        raise ValueError(_FORMS.format(given="a URL with the scheme 'memory' and text after it"))


def _open_memory(_url: str, _create: bool) -> Store:  # noqa: FBT001 - one signature for all kinds
    from chatvitals.stores.memory import MemoryStore  # noqa: PLC0415 - only the store in use is imported

    return MemoryStore()


def _check_file(url: str) -> None:
    if not url.startswith(_FILE) or url == _FILE:
        raise ValueError(_FORMS.format(given="a URL of 'sqlite' without three slashes and a path"))
    path = file_of(url)
    if path in {":memory:", "/:memory:"}:  # SQLite's own name, where each connection would see an empty database
        raise ValueError("store must be 'memory:' where it stays in memory, not 'sqlite:///:memory:'")
    if "?" in path:
        raise ValueError("store must be the URL of a file without options: remove the '?' and what follows it")


def _open_file(url: str, create: bool) -> Store:  # noqa: FBT001 - as above
    from chatvitals.stores.sqlite import SQLiteStore  # noqa: PLC0415 - as above

    return SQLiteStore(file_of(url), create=create)


def _read_file(url: str) -> dict[Cell, float]:
    from chatvitals.stores.sqlite_schema import read_cells  # noqa: PLC0415 - as above

    return read_cells(file_of(url))


def _check_redis(url: str) -> None:
    scheme, _, rest = url.partition(":")
    if not rest.startswith("//"):
        raise ValueError(_FORMS.format(given=f"a URL of {scheme!r} without two slashes"))
    from chatvitals.stores import redis_url  # noqa: PLC0415 - as above

    redis_url.parse(url)


def _open_redis(url: str, _create: bool) -> Store:  # noqa: FBT001 - as above
    from chatvitals.stores.redis import RedisStore  # noqa: PLC0415 - as above

    return RedisStore(url)


def _read_redis(url: str) -> dict[Cell, float]:
    with closing(_open_redis(url, False)) as opened:
        return opened.cells()


_FORMS: Final = (
    "store must be 'memory:', 'sqlite:///PATH' (four slashes for an absolute path) or the URL of a Redis such as "
    "'redis://HOST:PORT/DB', not {given}"
)
KINDS: Final = (
    StoreKind("memory", frozenset({"memory"}), "process", _check_memory, _open_memory, None),
    StoreKind("file", frozenset({"sqlite"}), "host", _check_file, _open_file, _read_file),
    StoreKind("redis", REDIS_SCHEMES, "hosts", _check_redis, _open_redis, _read_redis),
)
