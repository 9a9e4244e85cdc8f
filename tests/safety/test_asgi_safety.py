"""Cases 1 to 23 of tests/safety/README.md for ASGI apps. "As bare" compares with the app without chatvitals."""

from __future__ import annotations

import asyncio
import contextvars
import http
import socket
import tracemalloc
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient

from chatvitals import context
from chatvitals.context import ContactIds
from chatvitals.integrations.asgi import ChatVitalsMiddleware, instrument_app
from tests.conftest import webhook_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from tests.conftest import AsgiDriver, DoorVitals, Exchange, Swallowed

CONTACT = ContactIds("1", "393331234567", "")
EMPTY = b'{"entry": []}'


def as_bare(driver: AsgiDriver, vitals: DoorVitals, app: ASGIApp, **more: Any) -> Exchange:
    """Call `app` without and with the door. Say that both saw and did the same, and return the latter."""
    scope = more.pop("scope", None) or driver.scope()
    bare = driver.call(app, dict(scope), **more)
    ours = driver.call(ChatVitalsMiddleware(app, vitals), dict(scope), **more)
    assert ours.sent == bare.sent
    assert ours.received == bare.received
    assert ours.error is bare.error or (type(ours.error), str(ours.error)) == (type(bare.error), str(bare.error))
    return ours


def raising(error: BaseException, *, started: bool = False) -> ASGIApp:
    """Return an application that reads its body and raises, before or after its response has started."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


async def echo(request: Request) -> PlainTextResponse:
    """Answer with the length of the body and the contact at hand."""
    body = await request.body()
    return PlainTextResponse(f"{len(body)} {context.current() == CONTACT}")


def echo_app(**more: Any) -> Starlette:
    return Starlette(routes=[Route("/webhook", echo, methods=["POST"])], **more)


# The host's exceptions


@pytest.mark.parametrize("broken", ["receive", "emit", "clock", "settings", "bind"])
def test_01_a_bug_in_ours_leaves_everything_as_bare(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """Whatever of ours raises, the application runs on, and the place is counted."""

    def fail(*_: object) -> Any:
        raise LookupError(broken)

    vitals = door(max_body=1024)
    body = b" " * 2000 if broken == "clock" else asgi.body
    if broken == "bind":
        monkeypatch.setattr(context, broken, fail)
    else:
        monkeypatch.setattr(vitals.webhook_sink, broken, None if broken == "settings" else fail)
    exchange = as_bare(asgi, vitals, asgi.bot(), messages=[asgi.chunk(body)])
    assert exchange.sent[0]["headers"] == [(b"x-read", b"%d" % len(body))]
    assert vitals.webhook_sink.guard.errors["asgi"] > 0
    assert swallowed.take("asgi")


def test_03_a_host_exception_passes_as_the_same_object(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Cause, context and the suppression of context are untouched."""
    error, cause, other = ValueError("host"), KeyError("cause"), OSError("context")
    error.__cause__, error.__context__, error.__suppress_context__ = cause, other, False
    exchange = as_bare(asgi, door(), raising(error))
    assert exchange.error is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (cause, other, False)


def test_03_a_host_exception_is_untouched_by_errors_of_ours(
    asgi: AsgiDriver, door: type[DoorVitals], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that we swallow while the host's passes does not become its context."""
    vitals, error = door(), ValueError("host")
    monkeypatch.setattr(vitals.webhook_sink, "emit", lambda event: 1 / 0)
    exchange = asgi.call(ChatVitalsMiddleware(raising(error), vitals))
    assert exchange.error is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert [type(e) for e in swallowed.take("asgi")] == [ZeroDivisionError]


@pytest.mark.parametrize(
    "error",
    [
        BaseException("host"),
        KeyboardInterrupt("host"),
        SystemExit(3),
        asyncio.CancelledError("host"),
        ExceptionGroup("host", [ValueError("one")]),
        BaseExceptionGroup("host", [asyncio.CancelledError()]),
        HTTPException(403),
    ],
)
@pytest.mark.parametrize("started", [False, True])
def test_04_no_exception_of_the_host_is_swallowed(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    error: BaseException,
    started: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Exotic exceptions pass as well. The webhook counts as accepted, since no code rejected it."""
    vitals = door()
    exchange = asyncio.run(asgi.acall(ChatVitalsMiddleware(raising(error, started=started), vitals)))
    assert exchange.error is error
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_04_interrupts_that_hit_our_code_are_not_swallowed(
    asgi: AsgiDriver, door: type[DoorVitals], monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    """Ctrl-C in our code still stops the process."""

    def interrupted(*_: object) -> None:
        raise kind

    vitals = door()
    monkeypatch.setattr(vitals.webhook_sink, "receive", interrupted)
    assert isinstance(asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals)).error, kind)


def test_05_an_exception_after_the_response_has_started_adds_no_message(
    asgi: AsgiDriver, door: type[DoorVitals]
) -> None:
    """The one message that the application sent is all there is."""
    exchange = as_bare(asgi, door(), raising(ValueError("late"), started=True))
    assert [message["type"] for message in exchange.sent] == ["http.response.start"]


def test_06_an_error_of_send_reaches_the_application(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """A client that has gone shows as the very OSError that the server raised."""
    caught: list[BaseException] = []
    error = OSError("the client has gone")

    def refuse(message: Message) -> None:
        raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asgi.bot()(scope, receive, send)
        except OSError as seen:
            caught.append(seen)

    vitals = door()
    as_bare(asgi, vitals, app, on_send=refuse)
    assert caught == [error, error]
    assert vitals.results == ["accepted"]


def test_06_an_error_of_receive_reaches_the_application(door: type[DoorVitals], asgi: AsgiDriver) -> None:
    """The same holds for the other direction."""
    error = OSError("reset")

    async def receive() -> Message:
        raise error

    async def send(message: Message) -> None:
        raise AssertionError

    async def run() -> None:
        await ChatVitalsMiddleware(asgi.bot(), door())(asgi.scope(), receive, send)

    with pytest.raises(OSError, match="reset") as caught:
        asyncio.run(run())
    assert caught.value is error


def test_07_a_task_cancelled_in_mid_handler_is_counted_once(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The message arrived, so it counts. The cancellation goes on."""
    vitals = door()

    async def run() -> asyncio.Task[Exchange]:
        handling = asyncio.Event()

        async def stuck(body: bytes) -> None:
            handling.set()
            await asyncio.Event().wait()

        app = ChatVitalsMiddleware(asgi.bot(before=stuck), vitals)
        task = asyncio.create_task(asgi.acall(app))
        await handling.wait()
        task.cancel()
        await asyncio.wait([task])
        return task

    assert isinstance(asyncio.run(run()).result().error, asyncio.CancelledError)
    assert vitals.results == ["accepted"]


def test_07_a_coroutine_closed_elsewhere_keeps_its_peace(
    asgi: AsgiDriver, door: type[DoorVitals], swallowed: Swallowed
) -> None:
    """A task that is destroyed in another context, as at the end of a loop, raises nothing."""

    class Pause:
        def __await__(self) -> Generator[None]:
            yield

    async def pausing(*_: object) -> None:
        await Pause()

    async def unused(*_: object) -> Any:
        raise AssertionError

    call = ChatVitalsMiddleware(pausing, door())(asgi.scope(), unused, unused)
    contextvars.copy_context().run(call.send, None)
    call.close()
    assert swallowed.take("asgi") == []


# Bodies


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


# Scopes and servers


@pytest.mark.parametrize(
    "change",
    [
        {"type": "lifespan"},
        {"type": "websocket"},
        {"type": "telepathy"},
        {"path": "/other"},
        {"path": None},
        {"path": b"/webhook"},
        {"path": "/x/webhook", "root_path": None},
        {"path": "/x/webhook", "root_path": b"/x"},
        {"method": "GET"},
        {"method": "HEAD"},
        {"method": "PUT"},
        {"method": None},
    ],
)
def test_16_what_is_no_webhook_passes_as_the_same_objects(
    asgi: AsgiDriver, door: type[DoorVitals], change: dict[str, Any]
) -> None:
    """Scope, `receive` and `send` of any other request are the server's own."""
    seen: list[object] = []

    async def app(*given: object) -> None:
        seen.extend(given)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError

    async def run() -> None:
        await ChatVitalsMiddleware(app, vitals)(scope, receive, send)

    vitals, scope = door(), asgi.scope(**change)
    before = dict(scope)
    asyncio.run(run())
    assert [id(o) for o in seen] == [id(scope), id(receive), id(send)]
    assert scope == before


def test_16_a_scope_with_no_keys_passes(door: type[DoorVitals]) -> None:
    """Keys that we look for may be missing."""
    seen: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def unused(*_: object) -> Any:
        raise AssertionError

    for scope in ({}, {"type": "http"}, {"type": "http", "method": "POST"}):
        asyncio.run(ChatVitalsMiddleware(app, door())(scope, unused, unused))
    assert len(seen) == 3


def test_16_unknown_messages_pass(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Early hints, trailers, paths to send, and what comes after us."""
    kinds = ["early_hint", "debug", "start", "body", "pathsend", "zerocopysend", "trailers", "telepathy"]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(3):
            await receive()
        for kind in kinds:
            await send({"type": f"http.response.{kind}", "status": 200})

    pieces: list[Message] = [{"type": "http.telepathy"}, {"odd": 1}, asgi.chunk(asgi.body)]
    vitals = door()
    exchange = as_bare(asgi, vitals, app, messages=pieces)
    assert len(exchange.sent) == len(kinds)
    assert vitals.results == ["accepted"]


def test_16_lifespan_runs_through_a_real_server(
    asgi: AsgiDriver, door: type[DoorVitals], serve: Callable[[ASGIApp], int]
) -> None:
    """Start-up state reaches the handlers."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        yield {"greeting": "hello"}

    async def greet(request: Request) -> PlainTextResponse:
        await request.body()
        return PlainTextResponse(request.state.greeting)

    vitals, app = door(), Starlette(routes=[Route("/webhook", greet, methods=["POST"])], lifespan=lifespan)
    port = serve(ChatVitalsMiddleware(app, vitals))
    assert httpx.post(f"http://127.0.0.1:{port}/webhook", content=asgi.body, timeout=60).text == "hello"


@pytest.mark.parametrize(
    "change",
    [
        {"client": None, "server": None},
        {"server": ("unix.sock", None)},
        {"headers": [(b"host", b"[:::bad"), (b"x", b"\xff")]},
        {"headers": []},
        {"query_string": b"\xff%zz=\x00"},
    ],
)
def test_17_odd_scopes_are_read(asgi: AsgiDriver, door: type[DoorVitals], change: dict[str, Any]) -> None:
    """We look at nothing that we do not need."""
    vitals = door()
    as_bare(asgi, vitals, asgi.bot(), scope=asgi.scope(**change))
    assert vitals.results == ["accepted"]


def test_17_optional_keys_may_be_absent(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Type, method and path are enough."""
    vitals = door()
    as_bare(asgi, vitals, asgi.bot(), scope={"type": "http", "method": "POST", "path": "/webhook"})
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("headers", [None, 5, [(1, 2)], [b"name"]])
def test_17_headers_of_odd_types_are_no_harm(
    asgi: AsgiDriver, door: type[DoorVitals], swallowed: Swallowed, headers: object
) -> None:
    """A scope that breaks the rules of ASGI costs one counted problem at most."""
    as_bare(asgi, door(), asgi.bot(), scope=asgi.scope(headers=headers))
    swallowed.take("asgi")


def test_18_mounted_and_hosted_apps_match_by_our_own_path_test(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The door of a sub-app knows its own path, one further out the full path."""
    inner, outer = door(), door()
    sub = instrument_app(inner, echo_app())
    app = Starlette(routes=[Host("bots.example", Mount("/tenant", sub)), Mount("/api", sub)])
    instrument_app(outer, app, webhook_path="/api/webhook")
    client = TestClient(app, root_path="/proxy")
    for url in ("http://testserver/proxy/api/webhook", "http://bots.example/proxy/tenant/webhook"):
        assert client.post(url, content=asgi.body).text == f"{len(asgi.body)} True"
    assert (inner.results, outer.results) == (["accepted"] * 2, ["accepted"])


def test_18_what_the_router_writes_into_the_scope_is_seen_further_out(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Other instruments read the route after the call. Our mark is gone by then."""
    scopes: list[Scope] = []

    class Reading:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app(scope, receive, send)
            scopes.append(scope)

    app = echo_app(middleware=[Middleware(Reading), Middleware(ChatVitalsMiddleware, vitals=door())])
    bare = echo_app(middleware=[Middleware(Reading)])
    for each in (bare, app):
        asgi.call(each, messages=[asgi.chunk(asgi.body)])
    assert scopes[0].keys() == scopes[1].keys()
    assert scopes[1]["endpoint"] is echo


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_19_on_the_outer_and_the_mounted_app_it_is_counted_once(
    asgi: AsgiDriver, door: type[DoorVitals], framework: type[Starlette]
) -> None:
    """Whichever door is reached first counts."""
    vitals, app = door(), framework()
    app.mount("/sub", instrument_app(vitals, echo_app()))
    instrument_app(vitals, app, webhook_path="/sub/webhook")
    assert TestClient(app).post("/sub/webhook", content=asgi.body).text == f"{len(asgi.body)} True"
    assert vitals.results == ["accepted"]


def test_19_installed_twice_it_is_counted_once(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Also with a middleware between them that copies the scope, and again on the next request."""
    vitals = door()
    inner = ChatVitalsMiddleware(asgi.bot(), vitals)

    async def copying(scope: Scope, receive: Receive, send: Send) -> None:
        await inner(dict(scope), receive, send)

    app = ChatVitalsMiddleware(copying, vitals)
    scope = asgi.scope()
    before = dict(scope)
    for _ in range(2):
        asgi.call(app, scope)
    assert vitals.results == ["accepted"] * 2
    assert scope == before


def test_20_a_rebuilt_middleware_stack_counts_once(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Two apps share one vitals, and one of them is built again."""
    vitals = door()
    apps = [instrument_app(vitals, echo_app()) for _ in range(2)]
    for app in apps:
        TestClient(app).post("/webhook", content=asgi.body)
    apps[0].middleware_stack = None
    instrument_app(vitals, apps[0])
    TestClient(apps[0]).post("/webhook", content=asgi.body)
    assert vitals.results == ["accepted"] * 3


def test_21_the_acknowledgement_is_the_start_of_the_response(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """A background task finds the webhook emitted and its contact bound."""
    vitals = door()
    seen: list[object] = []

    async def later() -> None:
        seen.append((list(vitals.results), context.current()))

    async def webhook(request: Request) -> Response:
        await request.body()
        return Response(background=BackgroundTask(later))

    app = instrument_app(vitals, Starlette(routes=[Route("/webhook", webhook, methods=["POST"])]))
    TestClient(app).post("/webhook", content=asgi.body)
    assert seen == [(["accepted"], CONTACT)]


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_22_instrument_app_after_start_up_says_what_to_do(door: type[DoorVitals], framework: type[Starlette]) -> None:
    """The application stays as it is."""
    app = framework()
    with TestClient(app) as client:
        before = list(app.routes)
        with pytest.raises(RuntimeError, match="call it at the place where the application is created"):
            instrument_app(door(), app, metrics_path="/metrics")
        assert app.routes == before
        assert client.get("/metrics").status_code == 404


def test_23_the_get_handshake_passes_untouched(
    asgi: AsgiDriver, door: type[DoorVitals], serve: Callable[[ASGIApp], int]
) -> None:
    """Meta's verification gets the challenge, and nothing is counted."""

    async def verify(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.query_params["hub.challenge"])

    vitals = door(app_secret=asgi.secret)
    app = Starlette(routes=[Route("/webhook", verify), Route("/webhook", echo, methods=["POST"])])
    port = serve(instrument_app(vitals, app))
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "t"}
    assert httpx.get(f"http://127.0.0.1:{port}/webhook", params=query, timeout=60).text == "1158201444"
    assert vitals.emitted == []


# Contexts and loops


def test_42_a_contact_is_never_seen_by_the_next_request(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Requests that interleave in one loop, and follow each other in one task, keep their own contacts."""
    vitals = door()
    bodies = [webhook_body(str(n), str(n)) for n in range(2)]
    seen: dict[str, object] = {}

    async def run() -> None:
        both = asyncio.Barrier(2)

        async def note(body: bytes) -> None:
            await both.wait()
            contact = context.current()
            seen[body.decode()] = contact.wa_id if contact else None

        app = ChatVitalsMiddleware(asgi.bot(before=note), vitals)
        await asyncio.gather(*(asgi.acall(app, messages=[asgi.chunk(body)]) for body in bodies))
        both = asyncio.Barrier(1)
        await asgi.acall(app, messages=[asgi.chunk(b"[]")])

    asyncio.run(run())
    assert seen == {bodies[0].decode(): "0", bodies[1].decode(): "1", "[]": None}


def test_43_trio_runs_as_asyncio_does(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The door knows no event loop."""
    vitals = door()
    exchange = trio.run(asgi.acall, ChatVitalsMiddleware(echo_app(), vitals))
    assert exchange.sent[1]["body"] == b"%d True" % len(asgi.body)
    assert vitals.results == ["accepted"]
