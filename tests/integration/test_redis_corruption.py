"""Other data under the keys of a store: a commit is whole or absent, and garbage does no harm."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import pytest

from chatvitals.events import Message
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import redis_codec
from chatvitals.stores.base import Changes, RefusedDataError, StoreMistakeError
from chatvitals.stores.redis import RedisStore
from chatvitals.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from tests.helpers.redis_servers import RedisServer

EPOCH = 1_795_392_000.0
GARBAGE = b"\xffnonsense"
CELL, LATEST = ("chatvitals_turns_open", ("1",), 0), ("chatvitals_last_webhook_timestamp_seconds", (), 0)
MARK = ("chatvitals_oldest_open_turn_timestamp_seconds", "1", 7)
TYPED = ("due", "marks", "cells", "kept")


class Keys:
    """The keys of one store, as another program sees them."""

    def __init__(self, client: redis.Redis, url: str) -> None:
        self.client = client
        self._base = f"{{{url.partition('prefix=')[2]}}}:".encode()

    def name(self, key: str | bytes) -> bytes:
        """Return the full name of a key."""
        return self._base + (key if isinstance(key, bytes) else key.encode())

    def contents(self) -> dict[bytes, bytes | None]:
        """Return all keys with their values. Commits that are remembered count as well."""
        found = self.client.scan_iter(match=self._base + b"*", count=1000)
        return {key: self.client.dump(key) for key in sorted(found)}


@pytest.fixture
def keys(redis_server: RedisServer, redis_url: str) -> Iterator[Keys]:
    """The keys of the store."""
    with redis_server.client() as client:
        yield Keys(client, redis_url)


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store that holds one of everything."""
    opened = RedisStore(redis_url)
    commit(opened, everything(1.0))
    yield opened
    opened.close()


def everything(amount: float) -> Changes:
    """Return changes that write to a key of each kind."""
    return Changes(
        states={7: (b"state", EPOCH), 8: (b"other", EPOCH + amount)},
        links={9: 7},
        removed={10},
        open_since={MARK: EPOCH + amount},
        increments={CELL: amount, ("chatvitals_turns_total", ("1", "answered"), 0): amount},
        maxima={LATEST: EPOCH + amount},
        documents={"quality": b"%f" % amount},
    )


def commit(store: RedisStore, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def mark_key() -> bytes:
    return b"m:" + redis_codec.Packer()._name(MARK[:2])


@pytest.mark.parametrize("key", [*TYPED, "mark"])
def test_a_key_of_another_type_stops_a_commit_before_its_first_write(store: RedisStore, keys: Keys, key: str) -> None:
    """The sentence says what to do, and nothing of the commit takes effect."""
    name = keys.name(mark_key() if key == "mark" else key)
    keys.client.delete(name)
    keys.client.rpush(name, "theirs")
    before = keys.contents()
    with pytest.raises(StoreMistakeError, match=r"its own \?prefix=NAME"):
        commit(store, everything(2.0))
    assert keys.contents() == before


@pytest.mark.parametrize("key", ["format", b"c:" + redis_codec.keys([7])])
def test_a_key_that_is_read_first_stops_a_commit_as_well(store: RedisStore, keys: Keys, key: str | bytes) -> None:
    """The version and the rows of contacts are read before anything is written."""
    keys.client.delete(keys.name(key))
    keys.client.rpush(keys.name(key), "theirs")
    before = keys.contents()
    with store.transaction() as transaction:
        transaction._versions[7] = redis_codec.ABSENT
        with pytest.raises(StoreMistakeError):
            transaction.commit(everything(2.0))
    assert keys.contents() == before


@pytest.mark.parametrize("value", [b"", b"nonsense", b" 5", b"inf", b"nan", b"1e999", b"9" * 400, b"\xff\0"])
def test_a_cell_that_is_no_number_starts_anew(store: RedisStore, keys: Keys, value: bytes) -> None:
    """It would otherwise refuse every commit for ever. All else of the commit takes effect."""
    packer = redis_codec.Packer()
    for cell in (CELL, LATEST):
        keys.client.hset(keys.name("cells"), packer._name(cell), value)
    commit(store, everything(2.0))
    cells = store.cells()
    assert cells[CELL] == 2.0
    assert cells[LATEST] == EPOCH + 2.0
    assert cells["chatvitals_turns_total", ("1", "answered"), 0] == 3.0
    assert store.unreadable == 0
    assert store.document("quality") == b"2.000000"


@pytest.mark.parametrize(
    "row", [b"", b"x", b"12345678", b"12345678Sxx", b"12345678Lxx", b"12345678L" + b"x" * 30, GARBAGE]
)
def test_a_row_that_is_nobodys_is_replaced(store: RedisStore, keys: Keys, row: bytes) -> None:
    """The contact starts anew, its event counts, and the error is counted."""
    clock = FakeClock(EPOCH)
    settings = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef"}, environ={})
    guard = ErrorGuard()
    pipeline = Pipeline(settings, store, guard, clock, background=False)
    keys.client.set(keys.name(b"c:" + redis_codec.keys([pipeline.hasher().person("990", "15550001")])), row)
    pipeline.put(Message(phone_number_id="990", wa_id="15550001", received=EPOCH, id="wamid.1", type="text"))
    assert pipeline.drain()
    clock.advance(60.0)
    assert pipeline.sweep()
    cells = store.cells()
    assert sum(value for cell, value in cells.items() if cell[0] == catalogue.TURNS_OPENED.name) == 1.0
    assert guard.errors == {}


def test_garbage_beside_the_data_hides_none_of_it(store: RedisStore, keys: Keys) -> None:
    """Names that nobody can read are left out of what is shown and of a backup."""
    shown, dumped = store.oldest_open(), list(store.dump())
    client = keys.client
    client.hset(keys.name("leases"), "poller", GARBAGE)
    client.sadd(keys.name("marks"), GARBAGE)
    client.zadd(keys.name(b"m:" + GARBAGE), {GARBAGE: 1.0})
    client.zadd(keys.name("due"), {GARBAGE: 1.0})
    assert store.oldest_open() == shown
    assert [changes.states for changes in store.dump()] == [changes.states for changes in dumped]
    assert list(store.dump())[-1].open_since == dumped[-1].open_since
    assert store.lease("poller", "me", 60.0, EPOCH)
    with store.transaction() as transaction:
        assert transaction.due(EPOCH, 10) == {7: b"state"}


@pytest.mark.parametrize(
    "changes", [Changes(states={7: (b"s", nan)}, increments={CELL: 1.0}), Changes(open_since={MARK: nan}, removed={8})]
)
def test_a_time_that_is_no_number_is_refused_before_anything_is_sent(
    store: RedisStore, keys: Keys, changes: Changes
) -> None:
    """Redis would stop at it, after the first writes."""
    before = keys.contents()
    with pytest.raises(RefusedDataError, match="not a number"):
        commit(store, changes)
    assert keys.contents() == before


def test_a_dump_misses_no_contact_whose_time_moves_meanwhile(store: RedisStore) -> None:
    """Those that were due last become due first while the pieces are read."""
    amount = 3000
    rows = {key: (b"row", EPOCH + key) for key in range(100, 100 + amount)}
    commit(store, Changes(states=rows))
    found: set[int] = set()
    for piece in store.dump():
        if not found:
            commit(store, Changes(states={key: (b"moved", EPOCH - at) for key, (_, at) in rows.items()}))
        found.update(piece.states)
    assert found >= rows.keys()
