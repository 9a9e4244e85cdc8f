"""A real Redis that several workers share: what is committed at once, and what its troubles do to us."""

from __future__ import annotations

import multiprocessing
import os
import socketserver
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Message, Send, Status, Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.base import Changes, ConflictError, StoreMistakeError, StoreUnavailableError, UncertainError
from chatvitals.stores.redis import RedisStore
from chatvitals.stores.redis_url import with_prefix
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.redis_servers import Proxy, RedisServer
from tests.helpers.services import free_port
from tests.helpers.waiting import returned, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.metrics.catalogue import Family

CELL = ("chatvitals_turns_open", ("1",), 0)
EPOCH = 1_795_392_000.0


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


def commit(store: RedisStore, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def pipeline(store: RedisStore, clock: FakeClock, **settings: Any) -> Pipeline:
    chosen = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef", **settings}, environ={})
    return Pipeline(chosen, store, ErrorGuard(), clock, background=False)


def message(clock: FakeClock, contact: int = 1, name: str = "wamid.1") -> Message:
    return Message(
        phone_number_id="990",
        wa_id=f"1555000{contact}",
        user_id=f"US.{contact}",
        received=clock.now,
        id=name,
        type="text",
        timestamp=int(clock.now),
    )


def total(store: RedisStore, family: Family) -> float:
    return sum(value for cell, value in store.cells().items() if cell[0] == family.name)


def opened(store: RedisStore) -> float:
    return total(store, catalogue.TURNS_OPENED)


class Lossy(RedisStore):
    """A store that hears nothing of its first `lost` tries to commit."""

    def __init__(self, url: str, proxy: Proxy) -> None:
        super().__init__(url)
        self._proxy = proxy
        self.lost = 0

    def _commit(self, token: bytes, versions: dict[int, bytes], changes: Changes, digests: dict[str, bytes]) -> None:
        self._proxy.lose_answers = self.lost
        super()._commit(token, versions, changes, digests)


# Commits


def _count_up(url: str, times: int) -> None:
    store = RedisStore(url)
    done = 0
    while done < times:
        try:
            with store.transaction() as transaction:
                row = transaction.load([1]).get(1, b"0")
                assert isinstance(row, bytes)
                transaction.commit(Changes(states={1: (str(int(row) + 1).encode(), 5.0)}, increments={CELL: 1.0}))
            done += 1
        except ConflictError:
            continue
    store.close()


def test_eight_processes_that_change_one_contact_at_once_lose_nothing(store: RedisStore, redis_url: str) -> None:
    """The second writer reads again."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count_up, args=(redis_url, 40)) for _ in range(8)]
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


# Troubles


def test_a_commit_whose_answer_is_lost_is_not_done_twice(proxy: Proxy) -> None:
    """It is sent again at once, and Redis knows that it has done it."""
    store = RedisStore(with_prefix(proxy.url, "lost-once"))
    store.cells()
    proxy.lose_answers = 1
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}
    store.erase()
    store.close()


def test_a_commit_of_which_nothing_is_heard_can_be_asked_for_later(proxy: Proxy) -> None:
    """Whatever has been committed by others meanwhile, it takes effect once."""
    store = RedisStore(with_prefix(proxy.url, "lost-twice"))
    store.cells()
    proxy.lose_answers = 2
    with pytest.raises(UncertainError) as caught:
        commit(store, Changes(increments={CELL: 1.0}))
    commit(store, Changes(increments={CELL: 10.0}))
    caught.value.again()
    caught.value.again()
    assert store.cells() == {CELL: 11.0}
    store.erase()
    store.close()


def test_events_of_a_commit_of_which_nothing_is_heard_are_neither_lost_nor_counted_twice(proxy: Proxy) -> None:
    """The pipeline holds them until it knows. Then they are done, or are taken as new."""
    store, clock = Lossy(with_prefix(proxy.url, "unsure"), proxy), FakeClock(EPOCH)
    worker = pipeline(store, clock)
    for done, lost in enumerate((0, 2, 2), 1):
        clock.advance(60.0)
        worker.put(Webhook(result="accepted", received=clock.now, events=[message(clock, name=f"wamid.{clock.now}")]))
        worker.put(
            Send(
                phone_number_id="990",
                wa_id="15550001",
                received=clock.now,
                id=f"bot.{clock.now}",
                kind="reply",
                accepted=True,
                seconds=0.1,
            )
        )
        store.lost = lost
        assert worker.drain() == (lost == 0)
        assert worker.waiting == lost
        store.lost = 0
        assert worker.drain()
        assert worker.waiting == 0
        assert total(store, catalogue.WEBHOOKS) == done
    clock.advance(60.0)
    assert worker.sweep()
    assert (total(store, catalogue.TURNS_OPENED), total(store, catalogue.SENDS)) == (3.0, 3.0)
    store.erase()
    store.close()


def test_a_redis_killed_in_mid_load_and_restarted_with_its_data_loses_nothing(server: RedisServer) -> None:
    """Events wait. What was committed is there. Each message is counted once."""
    store, clock = RedisStore(server.url), FakeClock(EPOCH)
    worker = pipeline(store, clock)
    for contact in range(60):
        worker.put(message(clock, contact, f"wamid.{contact}"))
        if contact == 20:
            assert worker.drain()
            server.kill()
        if contact == 40:
            assert not worker.drain()
            assert worker.waiting == 20
            server.start()
    assert worker.drain()
    clock.advance(20.0)
    worker.sweep()
    assert opened(store) == 60.0
    assert worker.store_up
    store.close()


def test_a_redis_restarted_empty_is_begun_anew_with_the_same_identity_key(redis_server: RedisServer) -> None:
    """The numbers start again at what comes then. Running and new workers give each person the same key."""
    url = redis_server.fresh_url()
    store, clock = RedisStore(url), FakeClock(EPOCH)
    settings = Settings.load({"store": "memory:"}, environ={})
    worker = Pipeline(settings, store, ErrorGuard(), clock, background=False)
    worker.put(message(clock))
    assert worker.drain()
    key = store.document("identity_key")
    store.erase()
    clock.advance(20.0)
    worker.put(message(clock, name="wamid.2"))
    assert worker.drain()
    assert store.document("identity_key") == key
    clock.advance(20.0)
    worker.sweep()
    assert opened(store) == 1.0
    store.close()


def test_a_redis_that_is_down_at_the_start_is_used_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """Nothing but a sentence comes of it, in bounded memory."""
    server = RedisServer(tmp_path)
    store, clock = RedisStore(server.url), FakeClock(EPOCH)
    worker = pipeline(store, clock, queue_size=100)
    for contact in range(150):
        worker.put(message(clock, contact, f"wamid.{contact}"))
        if contact % 50 == 0:
            assert not worker.drain()
    assert worker.waiting == 100
    with server:
        assert worker.drain()
        clock.advance(20.0)
        worker.sweep()
        dropped = (catalogue.EVENTS_DROPPED.name, ("queue_full",), 0)
        assert (opened(store), store.cells()[dropped]) == (100.0, 50.0)
        store.close()


def test_the_bot_does_not_wait_for_a_slow_redis(proxy: Proxy) -> None:
    """Emitting an event and drawing a variant return while Redis answers nothing at all."""
    proxy.passing.clear()
    url = with_prefix(proxy.url, "slow")
    vitals = Vitals(Settings.load({"store": url, "hooks": False}, environ={}))
    experiment = vitals.experiment("greeting", {"plain": 1.0, "emoji": 1.0})

    def work() -> list[str]:
        for contact in range(50):
            vitals._emit(message(FakeClock(time.time()), contact, f"wamid.{contact}"))
        return [experiment.variant(contact=f"1555000{contact}", phone_number_id="990") for contact in range(50)]

    assert len(returned(work)) == 50
    proxy.passing.set()
    vitals.settle(60.0)
    assert vitals._pipeline.waiting == 0
    assert vitals._pipeline.store_up
    vitals.close()
    RedisStore(url).erase()


def test_rows_of_a_slow_redis_are_given_up_after_a_moment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """For some seconds after the first one, nobody else asks at all."""
    now = FakeClock(EPOCH)
    monkeypatch.setattr("chatvitals.stores.timeouts.time", SimpleNamespace(monotonic=now))
    store = RedisStore(with_prefix(proxy.url, "slow-rows"))
    store.cells()
    proxy.passing.clear()
    for told, seconds in (("within 50 ms", 0.0), ("just been too slow", 4.9), ("within 50 ms", 0.2)):
        now.advance(seconds)
        with pytest.raises(StoreUnavailableError, match=told):
            store.rows([1])
    store.close()


def test_a_command_that_takes_too_long_is_told(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline's thread waits for two seconds at most, here less."""
    monkeypatch.setattr("chatvitals.stores.redis_connection._COMMAND_SECONDS", 0.1)
    proxy.passing.clear()
    with pytest.raises(StoreUnavailableError, match="does not answer in time"):
        RedisStore(proxy.url).cells()


def test_a_full_redis_is_told_and_nothing_takes_effect(server: RedisServer) -> None:
    """`maxmemory` with noeviction refuses the commit before it begins."""
    store = RedisStore(server.url)
    commit(store, Changes(increments={CELL: 1.0}))
    with server.client() as client:
        client.config_set("maxmemory", "100kb")  # less than an empty server of any version uses
        with pytest.raises(StoreUnavailableError, match="out of memory: raise its maxmemory"):
            commit(store, Changes(states={1: (b"s", 1.0)}, increments={CELL: 1.0}))
        assert store.cells() == {CELL: 1.0}
        client.config_set("maxmemory", "0")
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 2.0}
    store.close()


def test_a_replica_is_told(server: RedisServer) -> None:
    """After a failover the old master's address is a replica's."""
    store = RedisStore(server.url)
    store.cells()
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUnavailableError, match="replica"):
            commit(store, Changes(increments={CELL: 1.0}))
        client.execute_command("REPLICAOF", "NO", "ONE")
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}
    store.close()


def test_a_redis_that_loads_its_data_is_waited_for(server: RedisServer, tmp_path: Path) -> None:
    """Loading refuses commands with a word of its own."""
    with server.client() as client:
        for part in range(20):
            client.mset({f"other:{part}:{i}": b"x" for i in range(1000)})
        client.save()
    server.kill()
    slow = RedisServer(tmp_path, "--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    with slow:
        store = RedisStore(slow.url)
        with pytest.raises(StoreUnavailableError, match="is loading its data: chatvitals waits for it"):
            store.cells()
        with pytest.raises(StoreUnavailableError, match="is loading its data: chatvitals waits for it"):
            commit(store, Changes(increments={CELL: 1.0}))
        store.close()


def test_a_wrong_password_is_told_without_showing_it(server: RedisServer) -> None:
    """Neither the message nor what it came from holds the secret."""
    with server.client() as client:
        client.config_set("requirepass", "right")
    told = {"//:hush@": "refuses the login: check user and password", "//": "asks for a password: put it into"}
    for login, sentence in told.items():
        store = RedisStore(server.url.replace("//", login))
        with pytest.raises(StoreUnavailableError, match=sentence) as caught:
            store.cells()
        chain: list[BaseException | None] = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert "hush" not in "".join(f"{error} {error!r}" for error in chain)
        store.close()
    right = RedisStore(server.url.replace("//", "//:right@"))
    commit(right, Changes(increments={CELL: 1.0}))
    right.close()


def test_events_wait_for_a_password_that_is_asked_for_in_mid_run(server: RedisServer) -> None:
    """Before the login, Redis refuses a long command by its length. That is no fault of the events."""
    clock = FakeClock(EPOCH)
    store = RedisStore(server.url)
    worker = pipeline(store, clock)
    worker.put(message(clock, name="wamid.1"))
    assert worker.drain()
    with server.client() as client:
        client.config_set("requirepass", "new")
        store.close()
        worker.put(message(clock, name="wamid.2"))
        assert not worker.drain()
        with pytest.raises(StoreUnavailableError, match="asks for a password"), store.transaction() as transaction:
            transaction.commit(Changes(states=dict.fromkeys(range(100), (b"s", 1.0))))
        client.config_set("requirepass", "")
    assert worker.drain()
    assert total(store, catalogue.MESSAGES_RECEIVED) == 2
    assert total(store, catalogue.EVENTS_DROPPED) == 0
    store.close()


def test_a_password_that_nobody_asks_for_is_told(server: RedisServer) -> None:
    """To remove it helps, and another password would not."""
    store = RedisStore(server.url.replace("//", "//:hush@"))
    with pytest.raises(StoreMistakeError, match="has no password: remove the password"):
        store.cells()
    store.close()


def test_a_redis_without_a_free_connection_has_not_run_the_commit(tmp_path: Path) -> None:
    """The sentence names `maxclients`. The commit is no lost answer, so it can be sent again at once."""
    with RedisServer(tmp_path, "--maxclients", "1") as server, server.client() as client:
        client.ping()
        store = RedisStore(server.url)
        with pytest.raises(StoreUnavailableError, match="no connection left: raise its maxclients") as caught:
            commit(store, Changes(increments={CELL: 1.0}))
        assert not isinstance(caught.value, UncertainError)
        client.config_set("maxclients", "10")
        commit(store, Changes(increments={CELL: 1.0}))
        assert store.cells() == {CELL: 1.0}
        store.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"-DENIED Redis is running in protected mode because it has no password.\r\n", "is in protected mode"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak the protocol of Redis: check host and port"),
    ],
)
def test_an_answer_before_any_command_is_told(answer: bytes, told: str) -> None:
    """From a Redis in protected mode, or from a server of another kind."""
    with answering(answer) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0")
        with pytest.raises(StoreUnavailableError, match=told):
            store.cells()
        store.close()


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Serve the same answer to each command. Gives the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(65_536):
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_other_data_under_our_keys_are_told(store: RedisStore, redis_server: RedisServer, redis_url: str) -> None:
    """Two programs with one prefix: the sentence says how to tell them apart."""
    prefix = redis_url.partition("prefix=")[2]
    with redis_server.client() as client:
        client.set(f"{{{prefix}}}:cells", "theirs")
    with pytest.raises(StoreUnavailableError, match=r"its own \?prefix=NAME"):
        store.cells()


def test_data_of_a_newer_version_are_refused(store: RedisStore, redis_server: RedisServer, redis_url: str) -> None:
    """An older chatvitals does not guess the meaning of newer data."""
    prefix = redis_url.partition("prefix=")[2]
    with redis_server.client() as client:
        client.set(f"{{{prefix}}}:format", "99")
    with pytest.raises(StoreUnavailableError, match="data of a newer chatvitals: upgrade"):
        commit(store, Changes(increments={CELL: 1.0}))


def test_everything_works_on_a_cluster(tmp_path: Path) -> None:
    """One node with all slots refuses what a larger cluster refuses: keys of several slots in one script."""
    bus = str(free_port())  # by default 10,000 above the port, which may be none
    with RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", bus) as node:
        with node.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", "0", "16383")
            until("a whole cluster", lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        store = RedisStore(node.url.replace("redis://", "redis+cluster://").removesuffix("/0"))
        clock = FakeClock(EPOCH)
        worker = pipeline(store, clock)
        for contact in range(20):
            worker.put(message(clock, contact, f"wamid.{contact}"))
        assert worker.drain()
        clock.advance(20.0)
        assert worker.sweep()
        assert opened(store) == 20.0
        assert list(store.oldest_open().values()) == [EPOCH]
        assert store.set_if_absent("a", b"x") == b"x"
        plain = RedisStore(node.url)
        commit(plain, Changes(increments={CELL: 1.0}))  # one node owns all slots: a plain client may do as well
        plain.close()
        store.erase()
        assert store.cells() == {}
        store.close()


def test_sentinels_tell_where_the_master_is(server: RedisServer, tmp_path: Path) -> None:
    """The store is where the Sentinel says, and a Sentinel that is not there is told."""
    config = tmp_path / "sentinel.conf"
    config.write_text(f"sentinel monitor main 127.0.0.1 {server.port} 1\n")
    sentinel = RedisServer(tmp_path)
    sentinel.command = [sentinel.command[0], str(config), "--sentinel", "--port", str(sentinel.port)]
    with sentinel:
        store = RedisStore(f"redis+sentinel://127.0.0.1:{sentinel.port}/main")
        commit(store, Changes(increments={CELL: 1.0}))
        assert store.cells() == {CELL: 1.0}
        assert server.keys() >= {b"{chatvitals}:cells"}
        store.close()
    with pytest.raises(StoreUnavailableError, match=r"the Redis at 127.0.0.1:\d+ \(main\) cannot be reached"):
        store.cells()
