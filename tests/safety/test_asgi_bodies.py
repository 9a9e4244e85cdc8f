"""Cases 8 to 15 of tests/safety/README.md for ASGI apps: bodies of requests and responses pass unchanged."""

from __future__ import annotations

import asyncio
import http
import socket
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from chatvitals.integrations.asgi import ChatVitalsMiddleware
from tests.helpers.asgi_apps import as_bare, echo_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from tests.conftest import AsgiDriver, DoorVitals, Swallowed


EMPTY = b'{"entry": []}'


@pytest.mark.parametrize("reads", [0, 1, 2, 3])
def test_08_receive_is_called_by_the_application_only(asgi: AsgiDriver, door: type[DoorVitals], reads: int) -> None:
    """As many calls come through as the application makes, none before and none after."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(reads):
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    vitals = door()
    pieces = [asgi.chunk(asgi.body[:9], more=True), asgi.chunk(asgi.body[9:])]
    exchange = as_bare(asgi, vitals, app, messages=pieces)
    assert len(exchange.received) == reads
    assert vitals.results == (["unread"], [], ["accepted"], ["accepted"])[reads]


def test_08_messages_are_the_servers_own_objects(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Nothing is rebuilt on its way in or out."""
    seen: list[Message] = []
    sent: Message = {"type": "http.response.start", "status": 200, "headers": []}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        await send(sent)

    given = asgi.chunk(asgi.body)
    exchange = asgi.call(ChatVitalsMiddleware(app, door()), messages=[given])
    assert seen[0] is given
    assert exchange.sent[0] is sent


def test_09_stream_consumed_never_appears(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Under and over middleware that reads the body too, everyone has all of it."""

    async def reading(request: Request, call_next: RequestResponseEndpoint) -> Response:
        await request.body()
        return await call_next(request)

    layers = [Middleware(BaseHTTPMiddleware, dispatch=reading) for _ in range(2)]
    vitals = door()
    app = echo_app(middleware=[layers[0], Middleware(ChatVitalsMiddleware, vitals=vitals), layers[1]])
    assert TestClient(app).post("/webhook", content=asgi.body).text == f"{len(asgi.body)} True"
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("declared", [True, False])
def test_10_32_mib_in_64_kib_chunks_cost_the_cap_and_1_mib_at_most(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    declared: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A declared length stops the copy at once. Without one it stops at the default cap of 4 MiB."""
    vitals = door()
    left = 512

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass

    async def receive() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": bytes(64 * 1024), "more_body": left > 0}

    async def send(message: Message) -> None:
        raise AssertionError

    async def run() -> None:
        headers = [(b"content-length", b"%d" % (32 * 1024 * 1024))] if declared else []
        await ChatVitalsMiddleware(app, vitals)(asgi.scope(*headers), receive, send)

    tracemalloc.start()
    try:
        asyncio.run(run())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (1 if declared else 5) * 1024 * 1024
    assert vitals.results == ["oversize"]


@pytest.mark.parametrize(
    ("messages", "results"),
    [
        ([(EMPTY[:3], True), (b"", True), (EMPTY[3:], True), (b"", False)], ["accepted"]),
        ([(None, True), (EMPTY, True), (None, False)], ["accepted"]),
        ([(b"", False)], ["undecodable"]),
        ([(b"[", True)], []),
        ([], []),
    ],
)
def test_11_odd_bodies_are_no_error(
    asgi: AsgiDriver, door: type[DoorVitals], messages: list[tuple[bytes | None, bool]], results: list[str]
) -> None:
    """Many chunks, chunks without `body`, an empty body. One that breaks off is no event at all."""
    vitals = door()
    pieces: list[Message] = [
        {"type": "http.request", "more_body": more} | ({} if body is None else {"body": body})
        for body, more in messages
    ]
    as_bare(asgi, vitals, asgi.bot(), messages=pieces)
    assert vitals.results == results


@pytest.mark.parametrize("body", [bytearray(EMPTY), memoryview(EMPTY)])
def test_11_chunks_of_other_bytes_types_are_read(
    asgi: AsgiDriver, door: type[DoorVitals], body: bytearray | memoryview
) -> None:
    """Servers may hand over a buffer that they use again."""
    vitals = door()
    asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals), messages=[{"type": "http.request", "body": body}])
    assert vitals.results == ["accepted"]


def test_12_a_streaming_response_is_not_buffered(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Each of 50 chunks leaves before the next one is made."""
    made: list[int] = []
    lead: list[int] = []

    async def numbers() -> AsyncIterator[str]:
        for number in range(50):
            made.append(number)
            yield f"{number},"

    async def stream(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(numbers())

    app = Starlette(routes=[Route("/webhook", stream, methods=["POST"])])
    exchange = as_bare(
        asgi, door(), app, on_send=lambda message: lead.append(len(made)), messages=[asgi.chunk(asgi.body)]
    )
    assert len(exchange.sent) == 52
    assert lead[53:103] == list(range(51, 101))


def test_12_the_bytes_on_the_wire_are_the_same(
    asgi: AsgiDriver, door: type[DoorVitals], serve: Callable[[ASGIApp], int]
) -> None:
    """Under a real server, framing and headers are those of the bare application."""

    async def numbers() -> AsyncIterator[str]:
        for number in range(50):
            yield f"{number},"

    async def stream(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(numbers(), headers={"x-odd": "caf\xe9"})

    app, vitals = Starlette(routes=[Route("/webhook", stream, methods=["POST"])]), door()
    bare, ours = (over_a_socket(serve(a), asgi.body) for a in (app, ChatVitalsMiddleware(app, vitals)))
    assert bare == ours
    assert b"49," in ours
    assert vitals.results == ["accepted"]


def over_a_socket(port: int, body: bytes) -> bytes:
    """Post `body` and return every byte of the answer."""
    head = b"POST /webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("error", [RecursionError("deep"), MemoryError(), UnicodeDecodeError("utf-8", b"", 0, 1, "x")])
def test_14_a_body_that_breaks_the_decoder_is_contained(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Even what `take` should have contained itself."""

    def fail(*_: object) -> None:
        raise error

    vitals = door()
    monkeypatch.setattr(vitals.webhook_sink, "receive", fail)
    as_bare(asgi, vitals, asgi.bot(), messages=[asgi.chunk(b"[" * 100_000)])
    assert swallowed.take("asgi") == [error]


@pytest.mark.parametrize(
    "start",
    [
        {"status": 200},
        {"status": http.HTTPStatus.OK, "headers": []},
        {"status": 200, "headers": [(b"content-length", b"many"), (b"x-odd", b"\xff\xfe")]},
        {"status": "200", "headers": None},
        {},
    ],
)
def test_15_odd_response_starts_pass(asgi: AsgiDriver, door: type[DoorVitals], start: Message) -> None:
    """The server is the judge of what the application sends, not we."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start"} | dict(start))
        await send({"type": "http.response.body"})

    vitals = door()
    as_bare(asgi, vitals, app)
    assert vitals.results == ["accepted"]


def test_15_a_status_may_be_an_enum(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """`HTTPStatus.FORBIDDEN` rejects as 403 does."""
    vitals = door()
    as_bare(asgi, vitals, asgi.bot(http.HTTPStatus.FORBIDDEN))
    assert vitals.results == ["rejected"]


@pytest.mark.parametrize("length", [b"many", b"", b"-5", b"9" * 5000, b"\xff"])
def test_15_odd_request_lengths_change_nothing(asgi: AsgiDriver, door: type[DoorVitals], length: bytes) -> None:
    """A declared length is a hint."""
    vitals = door()
    pieces = [asgi.chunk(asgi.body, more=True), asgi.chunk(b"")]
    as_bare(asgi, vitals, asgi.bot(), scope=asgi.scope((b"content-length", length)), messages=pieces)
    assert vitals.results == ["accepted"]
