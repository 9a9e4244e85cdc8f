"""A real Redis that several workers share: a commit takes effect at once, as a whole and once."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Send, Status, Webhook
from chatvitals.stores.base import Changes, ConflictError
from chatvitals.stores.redis import RedisStore
from chatvitals.testing import FakeClock
from tests.helpers.redis_commits import CELL, EPOCH, commit, message, pipeline
from tests.helpers.store_changes import count_up
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from tests.helpers.redis_servers import RedisServer


def test_eight_processes_that_change_one_contact_at_once_lose_nothing(store: RedisStore, redis_url: str) -> None:
    """The second writer reads again."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=count_up, args=(RedisStore, redis_url, 40, ConflictError)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(600)
        assert worker.exitcode == 0
    assert store.cells() == {CELL: 320.0}
    with store.transaction() as transaction:
        assert transaction.load([1]) == {1: b"320"}


@pytest.mark.parametrize(
    "other",
    [
        Changes(states={1: (b"theirs", 1.0)}),
        Changes(removed={1}),
        Changes(links={1: 2}),
        Changes(states={3: (b"", 1.0)}),
    ],
)
def test_a_commit_fails_as_a_whole_when_anything_that_was_read_has_changed(store: RedisStore, other: Changes) -> None:
    """Changed, removed, linked or new: the row is not what the reducer saw."""
    commit(store, Changes(states={1: (b"old", 1.0), 2: (b"two", 1.0)}))
    with store.transaction() as transaction:
        transaction.load([1, 2, 3])
        commit(store, other)
        with pytest.raises(ConflictError):
            transaction.commit(Changes(states={2: (b"mine", 1.0)}, increments={CELL: 1.0}, documents={"d": b"mine"}))
    with store.transaction() as transaction:
        assert transaction.load([2]) == {2: b"two"}
    assert (store.cells(), store.document("d")) == ({}, None)


def test_a_state_that_was_found_due_is_checked_too(store: RedisStore) -> None:
    """Two workers that sweep at once do not both count the same turn."""
    commit(store, Changes(states={1: (b"open", 1.0)}))
    with store.transaction() as first, store.transaction() as second:
        assert first.due(9.0, 5) == second.due(9.0, 5) == {1: b"open"}
        first.commit(Changes(states={1: (b"ended", 99.0)}, increments={CELL: 1.0}))
        with pytest.raises(ConflictError):
            second.commit(Changes(states={1: (b"ended", 99.0)}, increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}


def test_links_are_followed_on_the_server(store: RedisStore) -> None:
    """One round trip tells all. A link to nobody is as good as none, and is checked by the commit all the same."""
    commit(store, Changes(states={1: (b"state", 5.0)}, links={2: 1, 3: 2, -4: 99}))
    with store.transaction() as transaction:
        assert transaction.load([3, -4]) == {3: 2, 2: 1, 1: b"state"}
        commit(store, Changes(states={-4: (b"anew", 5.0)}))
        with pytest.raises(ConflictError):
            transaction.commit(Changes(states={-4: (b"mine", 5.0)}))


def test_links_that_lead_to_each_other_are_as_good_as_none(store: RedisStore) -> None:
    """Such data should not be. Neither the server nor we must follow them for ever."""
    commit(store, Changes(links={1: 2, 2: 1, 3: 3}))
    with store.transaction() as transaction:
        assert transaction.load([1, 3]) == {}


def test_sums_keep_their_precision(store: RedisStore) -> None:
    """A hundred tenths of a second beside a large sum are still ten seconds."""
    commit(store, Changes(increments={CELL: 1e9}))
    for _ in range(100):
        commit(store, Changes(increments={CELL: 0.1}))
    assert store.cells()[CELL] == pytest.approx(1e9 + 10.0, abs=1e-6)


def test_everything_has_one_hash_tag_and_contacts_expire(redis_server: RedisServer) -> None:
    """Cluster keeps all keys on one node. A store without a sweeping worker forgets people by itself."""
    store, clock = RedisStore(f"{redis_server.url}?prefix=tagged"), FakeClock(EPOCH)
    worker = pipeline(store, clock)
    worker.put(message(clock))
    worker.drain()
    contacts = list(redis_server.keys("{tagged}:c:*"))
    assert len(contacts) == 2  # the business-scoped id and the phone, which leads to it
    with redis_server.client() as client:
        days = [client.ttl(key) / 86_400 for key in contacts]
        assert all(85 < left < 95 for left in days)  # a turn is open, which must end and be counted
        clock.advance(90_000.0)
        worker.sweep()
        days = [client.ttl(key) / 86_400 for key in contacts]
        assert all(7 < left < 9 for left in days)  # of the eight days one has passed; a day is left for the sweep
    clock.advance(8 * 86_400.0)
    worker.sweep()
    assert {key.partition(b":")[2][:2] for key in redis_server.keys("{tagged}*")} == {
        *(b"ce", b"fo", b"w:"),
        b"ke",  # the documents: which numbers are known, and nobody
    }
    store.close()


def test_what_has_expired_leaves_no_entry_behind(store: RedisStore, redis_server: RedisServer, redis_url: str) -> None:
    """Its due time and its open point in time go when its time comes."""
    commit(store, Changes(states={1: (b"s", 1.0)}, open_since={("k", "n", 1): 7.0}))
    prefix = redis_url.partition("prefix=")[2]
    with redis_server.client() as client:
        client.delete(f"{{{prefix}}}:c:".encode() + (1).to_bytes(8, "little"))
        with store.transaction() as transaction:
            assert transaction.due(9.0, 5) == {}
        assert client.zcard(f"{{{prefix}}}:due") == 0
    assert store.oldest_open() == {}


def test_a_batch_takes_two_round_trips(store: RedisStore, redis_server: RedisServer) -> None:
    """Whatever it holds: phones and user ids, new contacts and known ones, links, statuses, sends."""
    clock = FakeClock(EPOCH)
    worker = pipeline(store, clock)

    def events(start: int) -> None:
        for contact in range(start, start + 40):
            first = message(clock, contact, f"wamid.{clock.now}.{contact}")
            worker.put(Webhook(result="accepted", received=clock.now, events=[first]))
            who: dict[str, Any] = {"phone_number_id": "990", "user_id": first.user_id, "received": clock.now}
            worker.put(Send(**who, id=f"bot.{contact}", kind="reply", accepted=True, seconds=0.1))
            worker.put(Status(**who, wa_id=first.wa_id, id=f"bot.{contact}", status="sent", timestamp=int(clock.now)))

    for start in (0, 20):  # the first time, the server learns the scripts; then half of the contacts are new
        events(start)
        before = redis_server.calls()
        assert worker.drain()
        after = redis_server.calls()
        clock.advance(1.0)
    calls = {name: after[name] - before.get(name, 0) for name in after}
    assert calls["evalsha"] == 2
    assert calls.get("eval", 0) == 0


def test_a_lease_has_one_holder_until_it_ends(store: RedisStore) -> None:
    """Its holder extends it, others wait until its time is over by the server's clock."""
    assert store.lease("poll", "a", 3600.0, 100.0)
    assert not store.lease("poll", "b", 3600.0, 100.0)
    assert store.lease("other", "b", 3600.0, 100.0)
    assert store.lease("poll", "a", 3600.0, 100.0)
    assert not store.lease("poll", "b", 3600.0, 10_000.0)  # a clock that is ahead takes nothing over
    assert store.lease("poll", "a", 0.2, 100.0)  # its last time is a short one
    until("the end of the lease", lambda: store.lease("poll", "b", 3600.0, 100.0))
    assert not store.lease("poll", "a", 3600.0, 10_000.0)


def test_a_fork_opens_its_own_connection(store: RedisStore) -> None:
    """Parent and child never read each other's answers."""
    commit(store, Changes(increments={CELL: 1.0}))
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        status = 1
        try:
            for _ in range(50):
                commit(store, Changes(increments={CELL: 1.0}))
            status = 0
        finally:
            os._exit(status)
    for _ in range(50):
        commit(store, Changes(increments={CELL: 1.0}))
    assert os.waitpid(pid, 0)[1] == 0
    assert store.cells() == {CELL: 101.0}
