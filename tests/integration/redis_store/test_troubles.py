"""A Redis that is slow, gone or not alone: nothing is lost, and each trouble is a sentence."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from chatvitals.events import Send, Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.base import Changes, StoreUnavailableError, UncertainError
from chatvitals.stores.redis import RedisStore
from chatvitals.stores.redis_url import with_prefix
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.redis_commits import CELL, EPOCH, commit, message, opened, pipeline, total
from tests.helpers.redis_servers import Proxy, RedisServer
from tests.helpers.services import free_port
from tests.helpers.waiting import returned, until

if TYPE_CHECKING:
    from pathlib import Path


class Lossy(RedisStore):
    """A store that hears nothing of its first `lost` tries to commit."""

    def __init__(self, url: str, proxy: Proxy) -> None:
        super().__init__(url)
        self._proxy = proxy
        self.lost = 0

    def _commit(self, token: bytes, versions: dict[int, bytes], changes: Changes, digests: dict[str, bytes]) -> None:
        self._proxy.lose_answers = self.lost
        super()._commit(token, versions, changes, digests)


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
