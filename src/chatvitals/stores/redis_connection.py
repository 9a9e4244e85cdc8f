"""A process's connections to a Redis, with short timeouts, and errors as sentences."""

from __future__ import annotations

import os
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    RedisClusterException,
    RedisError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from chatvitals.runtime import tls_errors
from chatvitals.runtime.clock_skew import clock_skew
from chatvitals.stores import redis_url
from chatvitals.stores.base import RefusedDataError, StoreMistakeError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.stores.redis_url import RedisAddress

_CONNECT_SECONDS = 1.0
_COMMAND_SECONDS = 2.0
_REFUSED = (AuthenticationError, AuthorizationError, BusyLoadingError)  # ConnectionErrors that are never ambiguous

_SENTENCES = {
    "CHATVITALSFORMAT": "holds data of a newer chatvitals: upgrade chatvitals, or use another ?prefix=NAME",
    "OOM": "is out of memory: raise its maxmemory (with the policy noeviction), or remove other data",
    "READONLY": "is a read-only replica: use the address of the master, or a Sentinel or Cluster URL",
    "MISCONF": "cannot save to its disk and refuses writes: look at its log",
    "NOREPLICAS": "has too few replicas and refuses writes",
    "CLUSTERDOWN": "is a cluster that is down or lacks slots: look at `redis-cli cluster info`",
    "MASTERDOWN": "is a replica that has lost its master",
    "LOADING": "is loading its data: chatvitals waits for it",
    "BUSY": "is busy with a long script of another client: chatvitals waits for it",
    "TRYAGAIN": "is moving the keys to another node: chatvitals waits for it",
    "MOVED": "is part of a cluster: use a redis+cluster:// URL",
    "CROSSSLOT": "is behind a proxy that splits keys: they must all be on one node",
    "NOPERM": "does not give this user the needed rights: allow it +@all on the keys of the store's prefix",
    "WRONGTYPE": "holds other data under the store's keys: give this bot its own ?prefix=NAME",
    "DB": "has no database of this number: end the store's URL with a smaller one, such as /0",
    "MAXCLIENTS": "has no connection left: raise its maxclients, or close other clients",
    "NOAUTH": "asks for a password: put it into the store's URL, redis://:PASSWORD@HOST:PORT/0",
    "NOPASSWORD": "has no password: remove the password from the store's URL",
    "DENIED": "is in protected mode and serves its own machine only: set a password there",
}
_WORDS = {  # error words that redis-py removes
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "MovedError": "MOVED",
    "ClusterCrossSlotError": "CROSSSLOT",
    "NoPermissionError": "NOPERM",
}
_PHRASES = {  # of errors without a word of their own, or whose word redis-py removes
    "max number of clients": "MAXCLIENTS",
    "Authentication required": "NOAUTH",
    "unauthenticated": "NOAUTH",  # the answer to a long command before the login
    "without any password": "NOPASSWORD",
}
_MISTAKES = frozenset(
    {"CHATVITALSFORMAT", "NOAUTH", "WRONGPASS", "NOPERM", "WRONGTYPE", "CROSSSLOT", "MOVED", "DB", "DENIED"}
)


class LostReplyError(StoreUnavailableError):
    """The connection broke or timed out. The command may have run, or still may."""


class Link:
    """The connections of one process to one Redis. Threads may share it."""

    def __init__(self, address: RedisAddress) -> None:
        self.pid: int = os.getpid()
        self._address = address
        base = f"{{{address.prefix}}}:"
        self._base = base.encode()
        self._key = f"{base}format".encode()
        self._client: Any = None
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, *arguments: bytes | float) -> Any:
        """Run a script and return its answer from redis-py.

        Raises:
            LostReplyError: the script may have run.
            RefusedDataError: the script has not run, and never will with these arguments.
            StoreUnavailableError: the script has not run.

        """

        def call(client: Any) -> Any:
            registered = self._scripts.get(script)
            if registered is None:
                registered = self._scripts[script] = client.register_script(script)
            return registered(keys=[self._key], args=[self._base, *arguments], client=client)

        return self._called(call)

    def ask(self, command: str) -> Any:
        """Send a command to the server that has the store's keys, and return its answer from redis-py.

        Raises:
            StoreUnavailableError: the server does not answer.

        """

        def call(client: Any) -> Any:
            there = {"target_nodes": client.get_node_from_key(self._key)} if self._address.kind == "cluster" else {}
            return client.execute_command(command, **there)

        return self._called(call)

    def _called(self, call: Callable[[Any], Any]) -> Any:
        try:
            client = self._client
            if client is None:
                client = self._client = self._connect()
            return call(client)
        except (RedisError, RedisClusterException, OSError) as error:
            if _is_about_data(error):
                raise RefusedDataError("the Redis refuses a value") from error
            self._client = None  # a failover may have moved the data; other threads finish with the old client
            if self._is_mistake(error):
                raise StoreMistakeError(self._advice(error)) from error
            kind = LostReplyError if _is_ambiguous(error) else StoreUnavailableError
            raise kind(self._advice(error)) from error

    def erase(self) -> None:
        """Delete every key of the store. It is for tests."""
        client = self._connect()
        for key in list(client.scan_iter(match=self._base.decode() + "*", count=1000)):
            client.unlink(key)
        client.close()

    def close(self) -> None:
        """Close all connections. A later use opens new connections."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except (RedisError, OSError):  # the connection is gone in any case
                return

    @property
    def _speaks_tls(self) -> bool:
        return self._address.tls or self._address.url.startswith("rediss:")

    def _connect(self) -> Any:
        """Create a client. It connects on first use."""
        address = self._address
        given: dict[str, Any] = {
            "socket_timeout": _COMMAND_SECONDS,
            "retry": Retry(NoBackoff(), 0),  # only the caller knows whether a retry is safe
            "protocol": 2,
        }
        if not address.url.startswith("unix:"):
            given["socket_connect_timeout"] = _CONNECT_SECONDS
            given["socket_keepalive"] = True
        try:
            if address.kind == "cluster":
                nodes = [ClusterNode(host, port) for host, port in address.nodes]  # type: ignore[no-untyped-call]
                return RedisCluster(startup_nodes=nodes, **given, **self._details())
            if address.kind == "sentinel":
                client = self._master(given | self._details())
            else:
                client = redis.Redis.from_url(address.url, **given)
            client.connection_pool.make_connection()  # refuses options that redis-py does not know
            return client  # noqa: TRY300 - one place for all errors of a URL
        except (TypeError, ValueError) as error:
            raise StoreMistakeError(
                f"redis-py does not accept the options after the ? of the store's URL ({type(error).__name__}). "
                "See `redis.Redis` for their names"
            ) from None

    def _details(self) -> dict[str, Any]:
        """Return login and options of a URL that redis-py cannot read itself."""
        address = self._address
        found: dict[str, Any] = parse_url(f"redis://?{address.options}")  # type: ignore[no-untyped-call]
        if address.username or address.password:
            found |= {"username": address.username, "password": address.password}
        return found | ({"ssl": True} if address.tls else {})

    def _master(self, given: dict[str, Any]) -> Any:
        """Return a client that asks the Sentinels for the master. The Sentinels may have another login."""
        login = [name for name in given if name.startswith("sentinel_")]
        asking = {name.removeprefix("sentinel_"): given.pop(name) for name in login}
        shared = [name for name in given if name.startswith(("socket_", "ssl")) or name in {"protocol", "retry"}]
        asking |= {name: given[name] for name in shared}
        sentinel = Sentinel(list(self._address.nodes), sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
        return sentinel.master_for(self._address.service, db=self._address.db, **given)  # type: ignore[no-untyped-call]

    @staticmethod
    def _is_mistake(error: Exception) -> bool:
        """Return whether the same attempt would fail for ever: by login, rights, certificate or the data there."""
        if isinstance(error, AuthenticationError) or not _MISTAKES.isdisjoint(_words(error)):
            return True
        return isinstance(tls_errors.behind(error), ssl.SSLCertVerificationError)  # of others, the command may have run

    def _advice(self, error: Exception) -> str:
        """Return advice by the kind of error. The texts of redis-py are not shown, because they may hold anything."""
        words = _words(error)
        named = next((sentence for word, sentence in _SENTENCES.items() if word in words), "")
        if isinstance(error, AuthenticationError) and not named:
            told = "refuses the login: check user and password in the store's URL"
        elif isinstance(error, BusyLoadingError):
            told = _SENTENCES["LOADING"]
        elif named:
            told = named
        elif reason := _tls_trouble(error):
            told = reason
        elif isinstance(error, redis.TimeoutError):
            told = "does not answer in time: chatvitals tries again"
            if self._speaks_tls:
                told += " (if it has no TLS, use redis:// in the store's URL)"
        elif isinstance(error, (redis.ConnectionError, RedisClusterException, OSError)):
            told = "cannot be reached: check that it runs and that the address in the store's URL is right"
            if not self._speaks_tls and ("closed" in str(error) or "reset" in str(error)):
                told += " (if it accepts only TLS, use rediss://)"
        elif isinstance(error, InvalidResponse):
            told = "does not speak the protocol of Redis: check host and port in the store's URL"
        else:
            told = f"refuses a command ({type(error).__name__}): chatvitals needs Redis 6.2 or Valkey 7.2"
        return f"the Redis at {self._address.shown} {told}"


class ServerFacts(NamedTuple):
    """Facts about the server that holds a store's keys. An unknown text is empty."""

    shown: str
    """The address without secrets."""
    version: str = ""
    policy: str = ""
    """The eviction policy for a full memory. All except `noeviction` delete parts of the store."""
    limit: int = 0
    """The memory limit in bytes, or 0 for no limit."""
    role: str = ""
    skew: float | None = None
    """Seconds by which this machine's clock is ahead of the server's clock at least."""


def look(url: str) -> ServerFacts:
    """Ask the server of a Redis store for facts about itself.

    A managed server may refuse. Then only the address is known.

    Raises:
        StoreUnavailableError: the server cannot be reached.

    """
    address = redis_url.parse(url)
    with closing(Link(address)) as link:
        link.ask("PING")
        try:
            info = link.ask("INFO")
            sent = time.time()
            seconds, microseconds = link.ask("TIME")
            received = time.time()
        except StoreUnavailableError:
            return ServerFacts(address.shown)
    at = int(seconds) + int(microseconds) / 1e6
    return ServerFacts(
        address.shown,
        version=str(info.get("redis_version", "")),
        policy=str(info.get("maxmemory_policy", "")),
        limit=int(info.get("maxmemory", 0)),
        role=str(info.get("role", "")),
        skew=clock_skew(sent, received, at, at),
    )


def _words(error: Exception) -> list[str]:
    """Return the words of an error. Redis 6 puts a script's error into another sentence."""
    text = str(error)
    known = [word for phrase, word in _PHRASES.items() if phrase in text]
    return [*text.replace("-", " ").split(), _WORDS.get(type(error).__name__, ""), *known]


def _is_ambiguous(error: Exception) -> bool:
    """Return whether the command may have run. A client that the server turns away has sent none."""
    if isinstance(error, _REFUSED) or "MAXCLIENTS" in _words(error):
        return False
    return isinstance(error, (redis.ConnectionError, redis.TimeoutError, OSError))


_ABOUT_DATA = ("not a valid float", "not a float", "NaN or Infinity", "exceeds maximum allowed size", "bulk length")


def _is_about_data(error: Exception) -> bool:
    """Return whether the same commit would be refused again, whatever the state of the server."""
    if isinstance(error, redis.DataError):
        return True
    text = str(error)
    if "unauthenticated" in text:  # the same limits are lower before the login
        return False
    return isinstance(error, redis.ResponseError) and any(words in text for words in _ABOUT_DATA)


def _tls_trouble(error: BaseException) -> str:
    """Return the TLS problem behind an error, or the empty string for other errors."""
    found = tls_errors.behind(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        if found.verify_code in {62, 64}:  # OpenSSL's codes for another host name and another address
            return "has a certificate for another name: use the name that the certificate has in the store's URL"
        return (
            f"has a certificate that this machine does not trust ({found.verify_message}): "
            "give the CA's certificate with ?ssl_ca_certs=PATH in the store's URL"
        )
    if isinstance(found, ssl.SSLError):
        return f"fails in the TLS handshake ({tls_errors.reason(found)}): use redis:// if it has no TLS"
    return ""
