"""Cases 16 to 23, 42 and 43 of tests/safety/README.md for ASGI apps: scopes, servers, contexts and loops."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route
from starlette.testclient import TestClient

from chatvitals import context
from chatvitals.integrations.asgi import ChatVitalsMiddleware, instrument_app
from tests.conftest import webhook_body
from tests.helpers.asgi_apps import CONTACT, as_bare, echo, echo_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from tests.conftest import AsgiDriver, DoorVitals, Swallowed


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
