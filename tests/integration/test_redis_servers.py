"""Redis with TLS, with a password, and as a cluster with replicas (tests/safety/README.md 26 and 80)."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from math import nan
from typing import TYPE_CHECKING

import pytest

from chatvitals.stores.base import Changes, ConflictError, RefusedDataError, StoreUnavailableError, UncertainError
from chatvitals.stores.redis import RedisStore
from tests.helpers.redis_servers import RedisServer
from tests.helpers.services import free_port
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.metrics.measurements import Cell

CELL: Cell = ("chatvitals_turns_open", ("1",), 0)
PATIENT = "600000"
"""Milliseconds after which a silent master is given up. Before a test kills it, no slow machine must do so."""


def commit(store: RedisStore, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A Redis that takes TLS alone, as (port, certificate). The certificate is for `localhost`."""
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl makes the certificate of this test"
    key, certificate, port = tmp_path / "key.pem", tmp_path / "certificate.pem", free_port()
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    names = ("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate))
    subprocess.run([openssl, *request, *names], check=True, capture_output=True, timeout=60)
    options = {
        "--tls-port": str(port),
        "--tls-cert-file": str(certificate),
        "--tls-key-file": str(key),
        "--tls-ca-cert-file": str(certificate),
        "--tls-auth-clients": "no",
    }
    with RedisServer(tmp_path, *(word for option in options.items() for word in option)):
        yield port, certificate


def told(url: str) -> str:
    """Return the error of a store that cannot be used."""
    store = RedisStore(url)
    with pytest.raises(StoreUnavailableError) as caught:
        store.cells()
    store.close()
    return str(caught.value)


def test_80_a_trusted_certificate_is_used(tls: tuple[int, Path]) -> None:
    """The authority is named in the URL."""
    port, certificate = tls
    store = RedisStore(f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")
    commit(store, Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}
    store.close()


def test_80_a_certificate_that_is_not_trusted_is_told(tls: tuple[int, Path]) -> None:
    """With what to do. Not as a server that cannot be reached."""
    sentence = told(f"rediss://localhost:{tls[0]}/0")
    assert "certificate that this machine does not trust" in sentence
    assert "ssl_ca_certs" in sentence


def test_80_a_certificate_for_another_name_is_told(tls: tuple[int, Path]) -> None:
    """The authority is right, and the host is another one."""
    port, certificate = tls
    assert "certificate for another name" in told(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")


def test_80_a_server_without_tls_is_told(redis_server: RedisServer) -> None:
    """The URL asks for TLS, and the server has none."""
    assert "TLS" in told(f"rediss://localhost:{redis_server.port}/0")


def test_80_a_server_with_tls_only_is_told(tls: tuple[int, Path]) -> None:
    """The URL asks for no TLS: the sentence names the scheme that does."""
    assert "rediss://" in told(f"redis://localhost:{tls[0]}/0")


def test_80_a_missing_password_is_told(tmp_path: Path) -> None:
    """As an error of the login, which trying again does not mend."""
    with RedisServer(tmp_path, "--requirepass", "secret") as server:
        assert "password" in told(f"redis://127.0.0.1:{server.port}/0")
        sentence = told(f"redis://:wrong@127.0.0.1:{server.port}/0")
        assert "refuses the login" in sentence
        assert "wrong" not in sentence


def test_an_evicting_policy_is_told_by_the_running_bot(tmp_path: Path) -> None:
    """It may delete parts of the store as soon as memory is full."""
    with RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru") as server:
        store = RedisStore(f"redis://127.0.0.1:{server.port}/0")
        assert "maxmemory-policy allkeys-lru" in store.advice()
        store.close()


def test_62_a_value_that_redis_refuses_is_no_trouble_of_the_server(redis_server: RedisServer) -> None:
    """The commit fails for good. The next one works."""
    store = RedisStore(redis_server.fresh_url())
    with pytest.raises(RefusedDataError, match="not a number"):
        commit(store, Changes(states={1: (b"state", nan)}, increments={CELL: 1.0}))
    assert store.cells() == {}
    commit(store, Changes(documents={"a": b"1"}))
    assert store.document("a") == b"1"
    store.close()


def test_26_a_cluster_of_three_masters_survives_the_loss_of_one(tmp_path: Path) -> None:
    """Its replica takes over, and what was committed and copied is there."""
    with ExitStack() as stack:
        nodes = []
        for index in range(6):
            folder = tmp_path / str(index)
            folder.mkdir()
            options = (
                "--cluster-enabled",
                "yes",
                "--cluster-node-timeout",
                PATIENT,
                "--cluster-port",
                str(free_port()),
            )
            nodes.append(stack.enter_context(RedisServer(folder, *options)))
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        create = ["redis-cli", "--cluster", "create", *addresses, "--cluster-replicas", "1", "--cluster-yes"]
        subprocess.run(create, check=True, capture_output=True, timeout=60)
        store = RedisStore(f"redis+cluster://{','.join(addresses)}")
        until("a whole cluster", lambda: _works(lambda: commit(store, Changes(increments={CELL: 0.0}))))
        commit(store, Changes(increments={CELL: 1.0}))
        master = next(node for node in nodes if node.keys("{chatvitals}:*") and _is_master(node))
        until("the copy on a replica", lambda: sum(bool(node.keys("{chatvitals}:cells")) for node in nodes) == 2)
        for node in nodes:
            with node.client() as client:
                client.config_set("cluster-node-timeout", "1000")
        master.kill()
        until("a commit on the replica", lambda: _works(lambda: commit(store, Changes(documents={"after": b"1"}))))
        assert until("the cells", lambda: _found(store)) == {CELL: 1.0}
        store.close()


def _found(store: RedisStore) -> dict[Cell, float]:
    try:
        return store.cells()
    except StoreUnavailableError:  # a slow machine may change the master once more
        return {}


def _works(call: Callable[[], None]) -> bool:
    try:
        call()
    except StoreUnavailableError:
        return False
    return True


def _is_master(node: RedisServer) -> bool:
    with node.client() as client:
        return bool(client.info("replication")["role"] == "master")


def test_26_a_failover_of_sentinels_loses_no_commit(tmp_path: Path) -> None:
    """The master dies, its replica takes over, and the store goes on there without a new start."""
    with ExitStack() as stack:
        folders = [tmp_path / name for name in ("master", "replica", "sentinel")]
        for folder in folders:
            folder.mkdir()
        master = stack.enter_context(RedisServer(folders[0]))
        replica = stack.enter_context(RedisServer(folders[1], "--replicaof", "127.0.0.1", str(master.port)))
        config = folders[2] / "sentinel.conf"
        config.write_text(
            f"sentinel monitor main 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds main {PATIENT}\n"
            "sentinel failover-timeout main 3000\n"
        )
        sentinel = RedisServer(folders[2])
        sentinel.command = [sentinel.command[0], str(config), "--sentinel", "--port", str(sentinel.port)]
        stack.enter_context(sentinel)
        store = RedisStore(f"redis+sentinel://127.0.0.1:{sentinel.port}/main")
        commit(store, Changes(increments={CELL: 1.0}))
        with master.client() as client:
            assert client.wait(1, 30_000) == 1, "the replica has not taken it over"
        with sentinel.client() as client:
            until("the Sentinel's look, every ten seconds", lambda: bool(client.sentinel_slaves("main")))
            client.sentinel_set("main", "down-after-milliseconds", "500")
        master.kill()
        until("a commit after the failover", lambda: is_done(store))
        assert until("the cells", lambda: _found(store)) == {CELL: 2.0}
        assert replica.keys() >= {b"{chatvitals}:cells"}
        store.close()


def is_done(store: RedisStore) -> bool:
    """Return whether one more commit has taken effect, sent again where its answer was lost."""
    try:
        commit(store, Changes(increments={CELL: 1.0}))
    except UncertainError as error:
        return is_sent(error)
    except StoreUnavailableError:
        return False
    return True


def is_sent(error: UncertainError) -> bool:
    """Return whether a commit with a lost answer takes effect in the end."""

    def is_known() -> str:
        try:
            error.again()
        except UncertainError:
            return ""
        except (StoreUnavailableError, ConflictError):
            return "no"
        return "yes"

    return until("an answer about the commit", is_known) == "yes"
