"""The store for several hosts: Redis from 6.2 on or Valkey from 7.2 on; one server, Sentinels or a cluster.

A transaction loads rows with their versions in one round trip and commits in another: a script checks that the versions
are still the same and then writes everything. No lock is held in between; who comes second reduces again.

All keys of a store have one hash tag, so that Cluster keeps them on one node, and not one tag per business number as
was planned: a batch may hold several numbers' events and its cells, and a commit must take effect as a whole. A bot
that outgrows one node gives groups of numbers their own `?prefix=`.

Keys of contacts expire by themselves in case that no process sweeps any more. The server's `maxmemory-policy` must be
`noeviction`: any other one may remove contacts or cells at any time. Replicas follow a moment behind, so a failover may
lose the last moments of all numbers together, but never leaves them inconsistent.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import partial
from hashlib import sha1
from typing import TYPE_CHECKING, Any, ClassVar

from chatvitals.conversations import state
from chatvitals.stores import redis_codec as records
from chatvitals.stores import redis_scripts as scripts
from chatvitals.stores import redis_url
from chatvitals.stores.base import (
    LEASE_TOLERANCE,
    Changes,
    ConflictError,
    StoreInfo,
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
    """Contacts, cells and documents of one bot on a Redis that its hosts share.

    Args:
        url: see `Settings.store`.

    Raises:
        ValueError: the URL is none of a Redis; the message holds no secret.

    """

    remote: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        self.unreadable = 0
        self._address = redis_url.parse(url)
        self._link: Link | None = None
        self._local = threading.local()
        self._packer = records.Packer()
        self._firsts: dict[str, bytes] = {}
        self._patience = LookupDeadline()
        try:
            self._linked()  # imports redis-py now: later, the bot would wait for that
        except StoreUnavailableError:
            return  # whoever uses the store is told

    @contextmanager
    def transaction(self) -> Iterator[_RedisTransaction]:
        """Begin a transaction; nothing is sent before something is read or committed."""
        yield _RedisTransaction(self)

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one, and of those to which they lead, within 50 ms or not at all."""
        transaction = _RedisTransaction(self)
        return self._patience.run(partial(transaction.load, list(keys)))

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, read by one command and so from one moment."""
        cells, self.unreadable = records.cells(*self._run(scripts.CELLS))
        return cells

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each kind and business number."""
        return records.marks(self._run(scripts.EARLIEST))

    def document(self, name: str) -> bytes | None:
        """Return a document, or None."""
        value: bytes | None = self._run(scripts.DOCUMENT, name.encode())
        return value

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store `value` unless there is one, and return the one that is there.

        What was returned is put back by the next commit where a Redis has come back empty: running workers would
        otherwise go on with an identity key that new ones do not know.
        """
        kept: bytes = self._run(scripts.KEEP_FIRST, name.encode(), value)
        self._firsts[name] = kept
        return kept

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Take or extend the lease `name` for `holder`; return False while another one holds it.

        Args:
            name: what only one process does at a time.
            holder: who asks.
            seconds: how long the lease is held without being extended, by the server's clock.
            now: Unix seconds. A lease that was given after `now` counts for nothing.

        """
        times = (repr(float(now)).encode(), repr(float(seconds)).encode(), repr(LEASE_TOLERANCE).encode())
        return bool(self._run(scripts.LEASE, name.encode(), holder.encode(), *times))

    def advice(self) -> str:
        """Return a sentence where the server may throw away parts of the store, else an empty text."""
        try:
            policy = self._linked().ask("INFO").get("maxmemory_policy", "noeviction")
        except StoreUnavailableError:  # whoever uses the store is told
            return ""
        if policy == "noeviction":
            return ""
        return (
            f"the Redis at {self._address.shown} has the maxmemory-policy {policy} and may throw away parts of the "
            "store: set it to noeviction"
        )

    def about(self) -> StoreInfo:
        """Return what this is and about how much room it takes."""
        return StoreInfo("redis", int(scripts.FORMAT), int(self._run(scripts.SIZE)))

    def dump(self) -> Iterator[Changes]:
        """Return everything but leases in pieces; one moment only while nobody writes, since nothing is locked."""
        start, found = 0, 1
        while found:
            packed, times, found = self._run(scripts.PAGE, start, start + _DUMPED_AT_ONCE - 1)
            states = records.page(packed, times)
            links = {alias: key for key, (row, _) in states.items() for alias in state.decode(row).aliases}
            yield Changes(states=dict(states), links=links)
            start += _DUMPED_AT_ONCE
        kept = self._run(scripts.DOCUMENTS)
        yield Changes(
            open_since=dict(records.all_marks(self._run(scripts.MARKS))),
            increments=self.cells(),
            documents={name.decode(): value for name, value in zip(kept[::2], kept[1::2], strict=True)},
        )

    def compact(self) -> None:
        """Do nothing: a Redis gives room back by itself."""

    def close(self) -> None:
        """Close the connections of this process; a forked child leaves its parent's alone."""
        link, self._link = self._link, None
        if link is not None and link.pid == os.getpid():
            link.close()

    def erase(self) -> None:
        """Remove everything of this store from the Redis: for tests."""
        self._linked().erase()

    def _run(self, script: str, *arguments: bytes | float) -> Any:
        return self._linked().run(script, *arguments)

    def _linked(self) -> Link:
        link = self._link
        if link is None or link.pid != os.getpid():  # a connection that a fork has copied is never touched again
            try:
                from chatvitals.stores.redis_connection import Link  # noqa: PLC0415 - redis-py is an extra
            except ImportError as error:
                raise StoreUnavailableError(
                    "a Redis store needs redis-py, which is not installed: pip install 'chatvitals[redis]'"
                ) from error
            link = self._link = Link(self._address)
        return link

    def _writer(self) -> bytes:
        """Return under which name this thread's commits are remembered."""
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
            self._local.pid = 0  # a copy may still be on its way: this writer's memory is never written again
            try:
                self._send(commit)  # most often only a connection was lost, or the server has been restarted
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
        except StoreUnavailableError as error:  # a refusal now does not tell what became of it then
            raise UncertainError(str(error), partial(self._send_again, commit)) from error


class _RedisTransaction:
    """Reads, each one round trip, and one commit that holds only if nothing that was read has changed."""

    remote: ClassVar[bool] = True

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._versions: dict[int, bytes] = {}  # as they were first read
        self._digests: dict[str, bytes] = {}  # of documents, likewise; empty where there was none

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one, and of the keys to which those lead."""
        wanted = list(keys)
        if not wanted:
            return {}
        known = self._versions.keys() - wanted
        packed = self._store._run(scripts.LOAD, records.keys(wanted))  # noqa: SLF001 - the two halves of one store
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
        """Return a document, or None; the commit holds only if it has not changed."""
        value = self._store.document(name)
        digest = b"" if value is None else sha1(value, usedforsecurity=False).hexdigest().encode()
        self._digests.setdefault(name, digest)
        return value

    def commit(self, changes: Changes) -> None:
        """Check and write everything, in one round trip."""
        self._store._commit(os.urandom(8), self._versions, changes, self._digests)  # noqa: SLF001


def _leads_somewhere(row: Row, found: dict[int, Row]) -> bool:
    """Return whether a row is a state or leads to one; a link that has outlived its contact is as good as none."""
    seen: set[int] = set()
    while isinstance(row, int):
        if row not in found or row in seen:
            return False
        seen.add(row)
        row = found[row]
    return True
