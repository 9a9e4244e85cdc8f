"""Redis servers that tests start, kill and start again, and a proxy that makes them slow or loses their answers."""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import redis

from tests.helpers.services import free_port, require, wait_until_listening

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count(1)


class RedisServer:
    """A Redis on a free port of loopback, with its data in a folder.

    Args:
        folder: for its files.
        options: further ones of its command line.

    """

    def __init__(self, folder: Path, *options: str) -> None:
        program = require("redis-server")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                         "--dir", str(folder), "--loglevel", "warning", *options]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, with the data that its folder holds."""
        self._process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until_listening(self.port, self._process)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
            self._process = None

    def fresh_url(self) -> str:
        """Return the URL of a store that is empty."""
        return f"{self.url}?prefix=test-{next(_numbers)}"

    def client(self, **options: Any) -> redis.Redis:
        """Return a client of its own."""
        return redis.Redis(port=self.port, **options)

    def keys(self, pattern: str = "*") -> set[bytes]:
        """Return all keys that match a pattern."""
        with self.client() as client:
            return set(client.scan_iter(match=pattern, count=1000))

    def calls(self) -> dict[str, int]:
        """Return how often each command has been called from outside and from scripts."""
        with self.client() as client:
            stats: Any = client.info("commandstats")
        return {name.removeprefix("cmdstat_"): each["calls"] for name, each in stats.items()}


class Proxy:
    """Stands between clients and a server. Can keep requests back, and lose answers.

    Attributes:
        passing: Requests wait while this event is not set.
        requests: How many pieces of requests have come.
        lose_answers: So many further answers are thrown away, and their connections closed.

    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.passing = threading.Event()
        self.passing.set()
        self.requests = 0
        self.lose_answers = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        """The URL of the Redis behind it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def close(self) -> None:
        """Close everything."""
        self.passing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            _shut(each)
        self._accepting.join(60)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [client, server]
            threading.Thread(target=self._requests, args=(client, server), daemon=True).start()
            threading.Thread(target=self._answers, args=(server, client), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while piece := client.recv(65536):
                self.requests += 1
                self.passing.wait()
                server.sendall(piece)
        _shut(server)
        client.close()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while piece := server.recv(65536):
                if self.lose_answers and not piece.startswith((b"+OK", b"-")):  # not those of the handshake
                    self.lose_answers -= 1
                    break
                client.sendall(piece)
        _shut(client)
        server.close()


def _shut(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
