"""What a Redis refuses is a sentence that says what to do, and drops no event."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from chatvitals.metrics import catalogue
from chatvitals.stores.base import Changes, StoreMistakeError, StoreUnavailableError, UncertainError
from chatvitals.stores.redis import RedisStore
from chatvitals.testing import FakeClock
from tests.helpers.redis_commits import CELL, EPOCH, commit, message, pipeline, total
from tests.helpers.redis_servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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
