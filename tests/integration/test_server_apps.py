"""`instrument_app` with servers that are no WSGI and no ASGI, with Quart and with pywa: metrics, paths, contacts."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import pywa
import pywa_async
import quart
from aiohttp import web
from fastapi import FastAPI
from flask import Flask
from sanic.response import text
from starlette.testclient import TestClient
from tornado.web import RequestHandler

from chatvitals import context
from chatvitals.integrations import aiohttp as aiohttp_door
from chatvitals.integrations._frameworks import instrument_app
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.tracking.contact_lookup import ContactResolver
from tests.conftest import SECRET, sign, webhook_body
from tests.helpers.doors import Answer
from tests.helpers.server_doors import SERVER_DOORS, AiohttpDoor, SanicDoor, ServerDoor, TornadoDoor

if TYPE_CHECKING:
    from tests.conftest import DoorVitals

BODY = webhook_body("393331234567", "wamid.1")
SIGNED = {"X-Hub-Signature-256": sign(BODY), "Content-Type": "application/json"}
PERSON = Person("Ada Example", "393331234567", "US.90000000000000000001")
TEXT = {"type": "text", "text": {"body": "hello"}}
WHOLE = payloads.webhook(BusinessNumber("1"), [payloads.message(PERSON, "wamid.1", TEXT, at=1_700_000_000)])


class Own(RequestHandler):  # type: ignore[misc]  # Tornado need not be there when types are checked
    """The bot's own metrics on Tornado."""

    def get(self) -> None:
        """Answer."""
        self.write("own")


def accept(_: bytes) -> Answer:
    """Handle a webhook."""
    return Answer()


def add_own_metrics(kind: ServerDoor, app: Any) -> None:
    """Let the bot answer /metrics itself."""
    if isinstance(kind, AiohttpDoor):

        async def own(_: web.Request) -> web.Response:
            return web.Response(text="own")

        app.router.add_get("/metrics", own)
    elif isinstance(kind, TornadoDoor):
        app.wildcard_router.add_rules([("/metrics", Own)])
    else:

        async def sanic_own(_: Any) -> Any:
            return text("own")

        app.add_route(sanic_own, "/metrics")


@pytest.fixture(params=sorted(SERVER_DOORS))
def kind(request: pytest.FixtureRequest) -> ServerDoor:
    """Each server."""
    return SERVER_DOORS[request.param]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_metrics_are_served_where_asked(kind: ServerDoor, door: type[DoorVitals], method: str) -> None:
    """HEAD has no body. A POST goes to the bot."""
    vitals = door(metrics_token="t")
    app = instrument_app(vitals, kind.app(accept), metrics_path="/metrics")
    outcome = kind.call(app, [], method=method, path="/metrics")
    assert outcome.status == 200
    assert outcome.pieces == ([b"up 1\n"] if method == "GET" else [])
    assert vitals.webhook_sink.metrics_paths == {"/metrics"}


def test_60_a_metrics_path_that_is_taken_is_refused(kind: ServerDoor, door: type[DoorVitals]) -> None:
    """Else the bot's own metrics would disappear without a word."""
    app = kind.app(accept)
    add_own_metrics(kind, app)
    with pytest.raises(ValueError, match=r"the bot answers /metrics already: choose another metrics_path"):
        instrument_app(door(), app, metrics_path="/metrics")


@pytest.mark.parametrize("kind", [AiohttpDoor(), TornadoDoor()], ids=["aiohttp", "tornado"])
def test_60_a_route_that_is_added_later_goes_on_answering(kind: ServerDoor, door: type[DoorVitals]) -> None:
    """Our route answers only where the application has no route."""
    app = instrument_app(door(metrics_token="t"), kind.app(accept), metrics_path="/metrics")
    add_own_metrics(kind, app)
    assert kind.call(app, [], method="GET", path="/metrics").pieces == [b"own"]


def test_60_sanic_itself_refuses_a_second_route(door: type[DoorVitals]) -> None:
    """The bot's author learns of it at once."""
    kind = SanicDoor()
    app = instrument_app(door(metrics_token="t"), kind.app(accept), metrics_path="/metrics")
    with pytest.raises(Exception, match="already registered"):
        add_own_metrics(kind, app)


@pytest.mark.parametrize("kind", [AiohttpDoor(), SanicDoor()], ids=["aiohttp", "sanic"])
def test_an_application_that_runs_already_is_refused(kind: ServerDoor, door: type[DoorVitals]) -> None:
    """The sentence says where to call it."""
    app = kind.app(accept)
    kind.call(app, [BODY])
    with pytest.raises(RuntimeError, match="where the application is created"):
        instrument_app(door(), app)


def test_a_part_of_another_application_of_aiohttp_is_refused_with_a_sentence(door: type[DoorVitals]) -> None:
    """The advice of the sentence works."""
    vitals, kind = door(), AiohttpDoor()
    outer, inner = web.Application(), kind.app(accept)
    outer.add_subapp("/bots", inner)
    with pytest.raises(
        RuntimeError, match="call instrument_app for the outer application, with the whole webhook_path"
    ):
        instrument_app(vitals, inner)
    instrument_app(vitals, outer, webhook_path="/bots/webhook")
    assert kind.call(outer, [BODY], path="/bots/webhook").pieces == [b"ok"]
    assert vitals.results == ["accepted"]


def test_an_application_of_aiohttp_may_be_instrumented_while_it_starts(door: type[DoorVitals]) -> None:
    """Its middlewares are fixed only afterwards."""
    vitals, kind = door(), AiohttpDoor()
    app = kind.app(accept)

    async def start(app: web.Application) -> None:
        instrument_app(vitals, app)

    app.on_startup.append(start)
    kind.call(app, [BODY])
    assert vitals.results == ["accepted"]


def test_a_webhook_path_that_never_matches_is_told_once(
    kind: ServerDoor, door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A webhook on another path shows the mistake."""
    vitals = door()
    app = kind.wrap(kind.app(accept), vitals, webhook_path="/hook")
    with caplog.at_level(logging.WARNING):
        kind.call(app, [BODY], content_type="application/json")
    assert vitals.results == []
    assert "A webhook of WhatsApp came to /webhook, which chatvitals does not watch" in caplog.text


def test_the_middleware_of_aiohttp_can_be_listed_by_hand(door: type[DoorVitals]) -> None:
    """As aiohttp's users do it."""
    vitals, kind = door(), AiohttpDoor()
    app = kind.app(accept)
    app.middlewares.append(aiohttp_door.middleware(vitals))
    assert kind.call(app, [BODY]).pieces == [b"ok"]
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("way", ["content", "readline", "chunks", "chunked", "any", "readexactly", "chunk", "post"])
def test_a_body_of_aiohttp_is_copied_whichever_way_it_is_read(door: type[DoorVitals], way: str) -> None:
    """Handlers may stream it."""
    ways: dict[str, Any] = {
        "content": lambda request: request.content.read(),
        "readline": lambda request: _joined(request.content),
        "chunks": lambda request: _joined(piece async for piece, _ in request.content.iter_chunks()),
        "chunked": lambda request: _joined(request.content.iter_chunked(7)),
        "any": lambda request: _joined(request.content.iter_any()),
        "readexactly": lambda request: request.content.readexactly(len(BODY)),
        "chunk": lambda request: _chunks(request.content),
        "post": _posted,
    }

    async def webhook(request: web.Request) -> web.Response:
        read = await ways[way](request)
        assert way == "post" or read == BODY
        return web.Response(text="known" if context.current() else "unknown")

    vitals, app = door(), web.Application()
    app.router.add_post("/webhook", webhook)
    instrument_app(vitals, app)
    assert AiohttpDoor().call(app, [BODY[:20], BODY[20:]]).pieces == [b"known"]
    assert vitals.read == [(BODY, None)]


async def _joined(pieces: Any) -> bytes:
    return b"".join([piece async for piece in pieces])


async def _chunks(content: Any) -> bytes:
    read = b""
    while True:
        piece, _ = await content.readchunk()
        if not piece and content.at_eof():
            return read
        read += piece


async def _posted(request: web.Request) -> bytes:
    await request.post()
    return await request.read()


# Sanic


@pytest.mark.parametrize("way", ["iterate", "read", "receive_body", "nothing"])
def test_a_streaming_handler_of_sanic_reads_the_body_itself(door: type[DoorVitals], way: str) -> None:
    """The webhook counts once it has read all, and a handler that reads nothing leaves nothing to count."""
    vitals, kind = door(app_secret=SECRET), SanicDoor()
    app = kind.app(accept)

    async def webhook(request: Any) -> Any:
        body = b""
        if way == "iterate":
            body = b"".join([piece async for piece in request.stream])
        elif way == "read":
            while piece := await request.stream.read():
                body += piece
        elif way == "receive_body":
            await request.receive_body()
            body = request.body
        known = context.current() is not None
        response = await request.respond()
        await response.send(f"{len(body)} {known}".encode())
        await response.eof()

    app.add_route(webhook, "/streamed", methods=["POST"], stream=True, name="streamed")
    instrument_app(vitals, app, webhook_path="/streamed")
    outcome = kind.call(app, [BODY[:20], BODY[20:]], path="/streamed", x_hub_signature_256=sign(BODY))
    read = 0 if way == "nothing" else len(BODY)
    assert outcome.pieces == [f"{read} {bool(read)}".encode()]
    assert vitals.results == (["accepted"] if read else [])


def test_a_lost_webhook_of_a_streaming_handler_is_told(
    door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """The log names its path."""
    kind = SanicDoor()
    app = kind.app(accept)

    async def webhook(request: Any) -> Any:
        await request.receive_body()
        return text("ok")

    app.add_route(webhook, "/streamed", methods=["POST"], stream=True, name="streamed")
    with caplog.at_level(logging.WARNING):
        kind.call(kind.wrap(app, door()), [BODY], path="/streamed", content_type="application/json")
    assert "A webhook of WhatsApp came to /streamed" in caplog.text


# Quart


def test_quart_is_instrumented_in_place(door: type[DoorVitals]) -> None:
    """Its views know the contact, and the metrics are served."""
    app, vitals = quart.Quart("bot"), door(app_secret=SECRET, metrics_token="t")

    @app.post("/webhook")  # type: ignore[untyped-decorator]  # Quart need not be there when types are checked
    async def webhook() -> str:
        await quart.request.get_json()
        return "known" if context.current() else "unknown"

    async def main() -> tuple[str, str]:
        client = app.test_client()
        answer = await client.post("/webhook", data=BODY, headers=SIGNED)
        shown = await client.get("/metrics")
        return await answer.get_data(as_text=True), await shown.get_data(as_text=True)

    instrument_app(vitals, app, metrics_path="/metrics")
    assert asyncio.run(main()) == ("known", "up 1\n")
    assert vitals.results == ["accepted"]


# pywa


def pywa_bot(server: Any, endpoint: str = "/wa", package: Any = pywa) -> tuple[Any, list[Any]]:
    """Return a client of pywa with a handler, and what the handler saw."""
    whatsapp = package.WhatsApp(
        "1",
        "token",
        server=server,
        verify_token="verify",
        app_secret=SECRET,
        webhook_endpoint=endpoint,
        filter_updates=False,
    )
    seen: list[Any] = []
    if package is pywa:

        @whatsapp.on_message  # type: ignore[untyped-decorator]  # as above
        def handle(_: Any, message: Any) -> None:
            seen.append((context.current(), message))
    else:

        @whatsapp.on_message  # type: ignore[untyped-decorator]
        async def ahandle(_: Any, message: Any) -> None:
            seen.append((context.current(), message))

    return whatsapp, seen


def post(app: Any, path: str) -> tuple[int, str]:
    """Post a webhook that is complete, as pywa wants it, and read the metrics."""
    headers = {"X-Hub-Signature-256": sign(WHOLE), "Content-Type": "application/json"}
    if isinstance(app, Flask):
        client = app.test_client()
        return client.post(path, data=WHOLE, headers=headers).status_code, client.get("/metrics").text
    asgi = TestClient(app)
    return asgi.post(path, content=WHOLE, headers=headers).status_code, asgi.get("/metrics").text


@pytest.mark.parametrize("package", [pywa, pywa_async], ids=["pywa", "pywa_async"])
@pytest.mark.parametrize("server", [None, FastAPI, Flask], ids=["own", "fastapi", "flask"])
def test_pywa_is_watched_on_whatever_server_it_listens(door: type[DoorVitals], server: Any, package: Any) -> None:
    """At its own endpoint. Its handlers know the contact, by the context and by pywa's object alone."""
    app = server if server is None else server("bot") if server is Flask else server()
    whatsapp, seen = pywa_bot(app, package=package)
    vitals = door(app_secret=SECRET, metrics_token="t")
    assert instrument_app(vitals, whatsapp, metrics_path="/metrics") is whatsapp
    if app is None:
        app = whatsapp._setup_and_get_starlette_app()
    assert post(app, "/wa") == (200, "up 1\n")
    assert vitals.results == ["accepted"]
    ((current, message),) = seen
    assert current == context.ContactIds("1", PERSON.phone, PERSON.user)
    resolver = ContactResolver(vitals.webhook_sink.guard, "")
    assert resolver.in_arguments([whatsapp, message]) == current


def test_pywa_at_the_root_is_watched(door: type[DoorVitals]) -> None:
    """That is its default."""
    whatsapp, seen = pywa_bot(app := FastAPI(), endpoint="/")
    vitals = door(app_secret=SECRET, metrics_token="t")
    instrument_app(vitals, whatsapp, metrics_path="/metrics")
    assert post(app, "/") == (200, "up 1\n")
    assert vitals.results == ["accepted"]
    assert seen[0][0] is not None


def test_a_path_at_which_pywa_does_not_listen_is_refused(door: type[DoorVitals]) -> None:
    """The sentence names pywa's own."""
    whatsapp, _ = pywa_bot(FastAPI())
    with pytest.raises(ValueError, match=r"pywa listens at '/wa' .* webhook_path='/webhook' never matches"):
        instrument_app(door(), whatsapp, webhook_path="/webhook")
