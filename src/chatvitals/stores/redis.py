"""The store for several hosts: Redis 6.2 or later, Valkey 7.2 or later, as one server, Sentinels or a cluster.

A transaction loads rows with their versions in one round trip and commits in another. A script checks that the
versions are still the same and then writes everything. No lock is held in between. After a conflict, the second
worker reduces again.

All keys of a store have one hash tag, so that Cluster keeps them on one node. They do not have a tag per business
number, because a batch may hold several numbers' events, and a commit must take effect as a whole. A bot that outgrows
one node gives groups of numbers their own `?prefix=`.

Keys of contacts expire by themselves in case that no process sweeps any more. The server's `maxmemory-policy` must be
`noeviction`, because other policies may remove contacts or cells at any time. Replicas lag a little, so a failover may
lose the last moments of all numbers together, but the numbers stay consistent.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from chatvitals.conversations import state
from chatvitals.runtime import greenlets
from chatvitals.stores import redis_codec as records
from chatvitals.stores import redis_scripts as scripts
from chatvitals.stores import redis_url
from chatvitals.stores.base import (
    LEASE_TOLERANCE,
    Changes,
    ConflictError,
    StoreInfo,
    StoreMistakeError,
    StoreUnavailableError,
    UncertainError,
)
from chatvitals.stores.timeouts import LookupDeadline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Row
    from chatvitals.stores.redis_connection import Link

_DUMPED_AT_ONCE = 500


class RedisStore:
    """Contacts, cells and documents of one bot on a Redis that several hosts share.

    Args:
        url: see `Settings.store`.

    Raises:
        ValueError: the URL is not the URL of a Redis. The message holds no secret.

    """

    remote: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        self.unreadable: int = 0
        self._address = redis_url.parse(url)
        self._link: Link | None = None
        self._local = threading.local()
        self._packer = records.Packer()
        self._firsts: dict[str, bytes] = {}
        self._patience = LookupDeadline()
        try:
            self._linked()  # imports redis-py now, because the bot would wait for a later import
        except StoreUnavailableError:
            return  # every later use reports the error

    @contextmanager
    def transaction(self) -> Iterator[_RedisTransaction]:
        """Begin a transaction. It sends nothing before the first read or commit."""
        yield _RedisTransaction(self)

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one, and of the contacts behind them, within 50 ms."""
        transaction = _RedisTransaction(self)
        return self._patience.run(partial(transaction.load, list(keys)))

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, read by one command and so as of one time."""
        cells, self.unreadable = records.cells(self._run(scripts.CELLS))
        return cells

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each kind and business number."""
        return records.marks(self._run(scripts.EARLIEST))

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        value: bytes | None = self._run(scripts.DOCUMENT, name.encode())
        return value

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store `value` if nothing is stored there yet. Return the stored value.

        The next commit stores the returned value again if a Redis has lost its data. Running workers would otherwise
        use an identity key that new workers do not know.
        """
        kept: bytes = self._run(scripts.KEEP_FIRST, name.encode(), value)
        self._firsts[name] = kept
        return kept

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Take or extend the lease `name` for `holder`. Return False while another holder has it.

        Args:
            name: name of the lease.
            holder: id of the caller.
            seconds: how long the lease lasts without an extension, by the server's clock.
            now: Unix seconds. A lease that was given after `now` is ignored.

        """
        times = (repr(float(now)).encode(), repr(float(seconds)).encode(), repr(LEASE_TOLERANCE).encode())
        return bool(self._run(scripts.LEASE, name.encode(), holder.encode(), *times))

    def advice(self) -> str:
        """Return a sentence where the server may delete parts of the store, else the empty string."""
        try:
            policy = self._linked().ask("INFO").get("maxmemory_policy", "noeviction")
        except StoreUnavailableError:  # every other use reports the error
            return ""
        if policy == "noeviction":
            return ""
        return (
            f"the Redis at {self._address.shown} has the maxmemory-policy {policy} and may delete parts of the "
            "store: set it to noeviction"
        )

    def about(self) -> StoreInfo:
        """Return facts about this store. The size is an estimate."""
        return StoreInfo("redis", int(scripts.FORMAT), int(self._run(scripts.SIZE)))

    def dump(self) -> Iterator[Changes]:
        """Yield everything except leases in pieces. Without a lock, concurrent writes may fall between the pieces.

        Every contact that exists during the whole dump is in it, and may be in it twice.
        """
        place = b""
        while place != b"0":
            packed, times, place = self._run(scripts.PAGE, place or b"0", _DUMPED_AT_ONCE)
            states = records.page(packed, times)
            links = {alias: key for key, (row, _) in states.items() for alias in _aliases(row)}
            yield Changes(states=dict(states), links=links)
        kept = self._run(scripts.DOCUMENTS)
        yield Changes(
            open_since=dict(records.all_marks(self._run(scripts.MARKS))),
            increments=self.cells(),
            documents={name.decode(): value for name, value in zip(kept[::2], kept[1::2], strict=True)},
        )

    def compact(self) -> None:
        """Do nothing, because a Redis frees space by itself."""

    def close(self) -> None:
        """Close the connections of this process. A forked child does not close its parent's connections."""
        link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            link.close()

    def erase(self) -> None:
        """Delete this store from the Redis. It is for tests."""
        self._linked().erase()

    def _run(self, script: str, *arguments: bytes | float) -> Any:
        return self._linked().run(script, *arguments)

    def _linked(self) -> Link:
        link = self._link
        if link is None or link.pid != os.getpid():  # never use a connection that a fork has copied
            if greenlets.are_sockets_bound_to_threads():  # and ours are used by the bot's threads and our own
                raise StoreMistakeError(
                    "gevent has replaced sockets and kept threads, which a Redis store cannot use: "
                    "call gevent.monkey.patch_all() without thread=False, before import chatvitals"
                )
            try:
                from chatvitals.stores.redis_connection import Link  # noqa: PLC0415 - redis-py is an extra
            except ImportError as error:
                raise StoreMistakeError(
                    "a Redis store needs redis-py, which is not installed: pip install 'chatvitals[redis]'"
                ) from error
            link = self._link = Link(self._address)
        return link

    def _writer(self) -> bytes:
        """Return the name under which this thread's commits are remembered."""
        local = self._local
        if getattr(local, "pid", 0) != os.getpid():
            local.pid, local.writer = os.getpid(), os.urandom(8)
        writer: bytes = local.writer
        return writer

    def _commit(self, token: bytes, versions: dict[int, bytes], changes: Changes, digests: dict[str, bytes]) -> None:
        commit = (token, self._writer(), *self._packer.commit(versions, changes, self._firsts, digests))
        try:
            self._send(commit)
        except UncertainError:
            self._local.pid = 0  # a copy may still be on its way, so this writer's name is not used again
            try:
                self._send(commit)  # most often only a connection was lost, or the server was restarted
            except StoreUnavailableError as error:
                raise UncertainError(str(error), partial(self._send_again, commit)) from error

    def _send(self, commit: tuple[bytes, ...]) -> None:
        from chatvitals.stores.redis_connection import LostReplyError  # noqa: PLC0415 - as above, and `_linked` has passed

        try:
            answer = self._run(scripts.COMMIT, *commit)
        except LostReplyError as error:
            raise UncertainError(str(error), partial(self._send_again, commit)) from error
        if answer == scripts.CONFLICT:
            raise ConflictError

    def _send_again(self, commit: tuple[bytes, ...]) -> None:
        try:
            self._send(commit)
        except StoreUnavailableError as error:  # a refusal now says nothing about the first attempt
            raise UncertainError(str(error), partial(self._send_again, commit)) from error


class _RedisTransaction:
    """Reads with one round trip each, and one commit that requires that no row read has changed."""

    remote: ClassVar[bool] = True

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._versions: dict[int, bytes] = {}  # at the first read
        self._digests: dict[str, bytes] = {}  # of documents at the first read, or empty where there was none

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one, and of the contacts behind them."""
        wanted = list(keys)
        if not wanted:
            return {}
        known = self._versions.keys() - wanted
        packed = self._store._run(scripts.LOAD, records.keys(wanted))  # noqa: SLF001 - store and transaction belong together
        found = records.rows(packed, self._versions)
        for key in wanted:
            self._versions.setdefault(key, records.ABSENT)
        return {key: row for key, row in found.items() if key not in known and _leads_somewhere(row, found)}

    def due(self, now: float, limit: int) -> dict[int, bytes]:
        """Return states that are due, the earliest first."""
        packed = self._store._run(scripts.DUE, repr(float(now)).encode(), limit)  # noqa: SLF001
        found: dict[int, Any] = records.rows(packed, self._versions)
        return found

    def document(self, name: str) -> bytes | None:
        """Return a document, or None. The commit requires that it has not changed."""
        value = self._store.document(name)
        digest = b"" if value is None else sha1(value, usedforsecurity=False).hexdigest().encode()
        self._digests.setdefault(name, digest)
        return value

    def commit(self, changes: Changes) -> None:
        """Check and write everything, in one round trip."""
        self._store._commit(os.urandom(8), self._versions, changes, self._digests)  # noqa: SLF001


def _leads_somewhere(row: Row, found: dict[int, Row]) -> bool:
    """Return whether a row is a state or leads to a state. A link may outlive its contact."""
    seen: set[int] = set()
    while isinstance(row, int):
        if row not in found or row in seen:
            return False
        seen.add(row)
        row = found[row]
    return True


def _aliases(row: bytes) -> list[int]:
    """Return the other keys of a contact. A state that this version cannot read has none."""
    try:
        return state.decode(row).aliases
    except msgspec.MsgspecError:
        return []
