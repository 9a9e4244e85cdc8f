"""The servers that people run bots on, and requests as bytes, for `every_server_bot`."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.whatsapp import signatures
from tests.helpers import services
from tests.helpers.every_server_bot import SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

BOT = "tests.helpers.every_server_bot"
# A kept connection must outlast a test on a busy machine. By default gunicorn ends it after two seconds.
_UVICORN = f"uvicorn {BOT}:app --port {{port}} --log-level warning --timeout-keep-alive 60 --http"
_GUNICORN = f"gunicorn {BOT}:app --bind 127.0.0.1:{{port}} --keep-alive 60 --worker-class"
_GRANIAN = f"granian {BOT}:app --host 127.0.0.1 --port {{port}} --interface"
SERVERS = {  # the framework, and the command of its server
    "uvicorn with h11": ("asgi", f"{_UVICORN} h11"),
    "uvicorn with httptools": ("starlette", f"{_UVICORN} httptools"),
    "hypercorn": ("quart", f"hypercorn {BOT}:app --bind 127.0.0.1:{{port}} --keep-alive 60"),
    "daphne": ("django_asgi", f"daphne {BOT}:app --bind 127.0.0.1 --port {{port}}"),
    "granian for ASGI": ("asgi", f"{_GRANIAN} asgi"),
    "granian for WSGI": ("wsgi", f"{_GRANIAN} wsgi"),
    "gunicorn": ("wsgi", f"{_GUNICORN} sync"),
    "gunicorn with threads": ("flask", f"{_GUNICORN} gthread --threads 3"),
    "gunicorn for ASGI": ("starlette", f"{_GUNICORN} asgi"),
    "waitress": ("wsgi", f"waitress --listen 127.0.0.1:{{port}} {BOT}:app"),
    "aiohttp": ("aiohttp", f"{BOT} {{port}}"),
    "tornado": ("tornado", f"{BOT} {{port}}"),
    "sanic": ("sanic", f"{BOT} {{port}}"),
    "sanic with a streaming handler": ("sanic_stream", f"{BOT} {{port}}"),
    "Django's runserver": ("django_wsgi", f"{BOT} {{port}}"),
    "Flask's own": ("flask", f"{BOT} {{port}}"),
}
_FOLDER = Path(__file__).parents[2]
_PERSON = Person("Ada Example", "15550004321", "US.90000000000000000001")
_TEXT = {"type": "text", "text": {"body": "hello"}}
_MOVING = re.compile(rb"\r\n(date|server|keep-alive): [^\r]*", re.IGNORECASE)


def is_installed(server: str) -> bool:
    """Return whether the package of a server is installed."""
    kind, command = SERVERS[server]
    needed = {kind.partition("_")[0], command.split()[0].partition(".")[0]} - {"asgi", "wsgi"}
    return all(find_spec(name) is not None for name in needed)


@dataclass
class Server:
    """A running server."""

    port: int
    log: Path

    def ask(self, *pieces: bytes, patience: float = 60.0) -> bytes:
        """Send the pieces of requests. Return the answers without the headers that say something about the moment."""
        with socket.create_connection(("127.0.0.1", self.port), patience) as connection:
            for piece in pieces:
                connection.sendall(piece)
            return answers(connection)

    def ask_and_wait(self, first: bytes, second: bytes) -> bytes:
        """Send the second part once an answer to the first part comes, unless the answer ends the connection."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            connection.sendall(first)
            answer = b""
            while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):  # runserver sends line by line
                answer += piece
            if b"connection: close" not in answer.lower():  # Flask's own server waits for ever for the end of the rest
                connection.sendall(second)
            return _MOVING.sub(b"", answer + received(connection))

    def leave(self, *pieces: bytes) -> bytes:
        """Send the pieces, close the sending side, and read what comes."""
        with socket.create_connection(("127.0.0.1", self.port), 60) as connection:
            for piece in pieces:
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_WR)
            return answers(connection)

    def seen(self) -> dict[str, float]:
        """Return the counters of chatvitals that are not 0."""
        page = self.ask(b"GET /seen HTTP/1.1\r\nHost: bot.example\r\nConnection: close\r\n\r\n")
        found = re.search(rb"\{.*\}", page)
        assert found, page
        counters: dict[str, float] = json.loads(found[0])
        return counters


def answers(connection: socket.socket) -> bytes:
    """Return all that a server sends, without the headers that say something about the moment."""
    return _MOVING.sub(b"", received(connection))


def received(connection: socket.socket) -> bytes:
    """Return all that a server sends until it closes the connection."""
    found = b""
    with suppress(ConnectionError):  # closed with a reset, because the server did not read everything
        while piece := connection.recv(65536):
            found += piece
    return found


@contextmanager
def running(server: str, folder: Path, *, bare: bool) -> Iterator[Server]:
    """Run a server with the bot, with or without chatvitals."""
    port = services.free_port()
    log = folder / f"{server} {'bare' if bare else 'watched'}.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    kind, command = SERVERS[server]
    path = os.pathsep.join([str(_FOLDER), environ.get("PYTHONPATH", "")])
    environ |= {"KIND": kind, "PYTHONPATH": path, "PYTHONHASHSEED": "0"} | ({"BARE": "1"} if bare else {})
    words = [sys.executable, "-m", *command.format(port=port).split()]
    with services.running(words, log, port, cwd=folder, env=environ):
        yield Server(port, log)


def webhook(message: str, size: int = 0, words: str = "hello") -> bytes:
    """Return a webhook with one message, and with so many bytes more."""
    number = BusinessNumber("990005556667778")
    text = {**_TEXT, "text": {"body": words + "o" * size}}
    return payloads.webhook(number, [payloads.message(_PERSON, message, text, at=int(time.time()))])


def head(body: bytes, *lines: str, target: str = "/webhook", method: str = "POST", version: str = "1.1") -> bytes:
    """Return the head of a signed request, with more lines. Without a line about the length, it is declared."""
    given = [
        f"{method} {target} HTTP/{version}",
        "Host: bot.example",
        "Content-Type: application/json",
        f"X-Hub-Signature-256: {signatures.sign(body, SECRET)}",
        *lines,
    ]
    names = {line.partition(":")[0] for line in lines}
    if "Content-Type" in names:
        given.remove("Content-Type: application/json")
    if "Transfer-Encoding" not in names:
        given.append(f"Content-Length: {len(body)}")
    if "Connection" not in names:
        given.append("Connection: close")
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def chunked(body: bytes, size: int) -> bytes:
    """Return a body in chunks."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
