"""A real uvicorn on loopback, in a thread of the test's process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.integrations.asgi import ASGIApp, Receive

    class Api(Protocol):
        """A stand-in for the API."""

        port: int

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            """Answer a request."""


StandIn = TypeVar("StandIn", bound="Api")


@contextmanager
def serving(lifespan: str = "auto") -> Iterator[Callable[[ASGIApp], int]]:
    """Give a function that serves an application on a free port and returns the port. Stop all servers at the end.

    With `lifespan="off"`, the application gets requests only.
    """
    running: list[tuple[_Server, threading.Thread]] = []

    def start(app: ASGIApp) -> int:
        settings: dict[str, Any] = {"ws": "none", "log_config": None, "date_header": False, "server_header": False}
        settings["lifespan"] = lifespan
        server = _Server(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        assert server.settled.wait(60), "uvicorn did not start"
        assert server.port, "uvicorn could not listen"
        return server.port

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(60)


@contextmanager
def listening(api: StandIn) -> Iterator[StandIn]:
    """Serve a stand-in for the API, which gets requests only and knows its port."""
    with serving(lifespan="off") as start:
        api.port = start(api)
        yield api


async def body_of(receive: Receive) -> bytes:
    """Read the whole body of a request."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


class _Server(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.port = 0

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
            self.port = self.servers[0].sockets[0].getsockname()[1]
        finally:
            self.settled.set()
