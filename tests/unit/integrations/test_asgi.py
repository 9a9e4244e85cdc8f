from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from chatvitals import context
from chatvitals.events import Webhook
from chatvitals.integrations.asgi import ChatVitalsMiddleware, instrument_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.asgi import ASGIApp, Receive, Scope, Send
    from tests.conftest import AsgiDriver, DoorVitals

PHONE = "393331234567"


async def read_and_answer(request: Request) -> PlainTextResponse:
    """Handle a webhook as most bots do."""
    return PlainTextResponse(f"{len(await request.body())}")


async def raw_body(request: Request) -> bytes:
    """Give the raw body to a handler, as a dependency that checks signatures does."""
    return await request.body()


async def no_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Read one message and return."""
    await receive()


def results_of(driver: AsgiDriver, vitals: DoorVitals, app: ASGIApp, **more: Any) -> list[str]:
    driver.call(ChatVitalsMiddleware(app, vitals), **more)
    return vitals.results


# What is counted, and when


def test_signed_webhook_is_emitted_before_the_application_has_its_body(
    asgi: AsgiDriver, door: type[DoorVitals]
) -> None:
    """With a secret, nothing waits for the application's answer."""
    vitals = door(app_secret=asgi.secret)
    seen: list[list[str]] = []
    app = asgi.bot(before=lambda body: seen.append(list(vitals.results)))

    asgi.call(ChatVitalsMiddleware(app, vitals), asgi.signed())

    assert seen == [["accepted"]]
    assert vitals.results == ["accepted"]
    assert vitals.read == [(asgi.body, asgi.sign(asgi.body))]


def test_unsigned_webhook_waits_for_the_verdict_without_a_secret(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Without a secret, the application's answer decides."""
    vitals = door()
    seen: list[list[str]] = []
    app = asgi.bot(before=lambda body: seen.append(list(vitals.results)))

    asgi.call(ChatVitalsMiddleware(app, vitals))

    assert seen == [[]]
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_rejection_by_the_application_counts_as_rejected(asgi: AsgiDriver, door: type[DoorVitals], status: int) -> None:
    """A rejected webhook keeps the time of its receipt and loses its events."""
    vitals = door()
    asgi.call(ChatVitalsMiddleware(asgi.bot(status), vitals))
    assert vitals.emitted == [Webhook(result="rejected", received=vitals.webhook_sink.clock())]


@pytest.mark.parametrize("status", [200, 204, 302, 400, 413, 429, 500, 503])
def test_any_other_answer_leaves_the_webhook_accepted(asgi: AsgiDriver, door: type[DoorVitals], status: int) -> None:
    """Only 401, 403, 404 and 405 disown a webhook."""
    assert results_of(asgi, door(), asgi.bot(status)) == ["accepted"]


def test_rejection_changes_nothing_with_a_secret(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The signature has decided already."""
    vitals = door(app_secret=asgi.secret)
    assert results_of(asgi, vitals, asgi.bot(403), scope=asgi.signed()) == ["accepted"]


def test_answer_before_the_body_decides_when_the_body_is_complete(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """An application may start its response first and read afterwards."""

    async def hasty(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await receive()

    assert results_of(asgi, door(), hasty) == ["rejected"]


def test_application_that_never_answers_has_not_rejected(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Its server will say 500, which is no rejection."""
    assert results_of(asgi, door(), no_answer) == ["accepted"]


@pytest.mark.parametrize("secret", [None, "the-app-secret"])
def test_webhook_without_a_signature_is_unsigned_only_with_a_secret(
    asgi: AsgiDriver, door: type[DoorVitals], secret: str | None
) -> None:
    """Design decision 8."""
    expected = "accepted" if secret is None else "unsigned"
    assert results_of(asgi, door(app_secret=secret), asgi.bot()) == [expected]


def test_doubled_signature_headers_never_pass(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Two headers, even if each is right, are joined and fail the check."""
    vitals = door(app_secret=asgi.secret)
    header = (b"x-hub-signature-256", asgi.sign(asgi.body).encode())
    asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals), asgi.scope(header, header))
    assert vitals.results == ["bad_signature"]
    assert vitals.read[0][1] == f"{asgi.sign(asgi.body)}, {asgi.sign(asgi.body)}"


def test_signature_header_is_found_in_any_case(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Servers lower the names of headers. Hand-made scopes may not."""
    vitals = door(app_secret=asgi.secret)
    scope = asgi.scope((b"X-Hub-Signature-256", asgi.sign(asgi.body).encode()))
    assert results_of(asgi, vitals, asgi.bot(), scope=scope) == ["accepted"]


def test_body_of_exactly_the_cap_is_read(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The cap itself is allowed."""
    body = b'{"entry": []}'.ljust(1024)
    assert results_of(asgi, door(max_body=1024), asgi.bot(), messages=[asgi.chunk(body)]) == ["accepted"]


def test_body_beyond_the_cap_is_oversize(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """It is counted once, with the time, and not read."""
    vitals = door(max_body=1024)
    pieces = [asgi.chunk(b" " * 600, more=True) for _ in range(4)] + [asgi.chunk(b"")]
    exchange = asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals), messages=pieces)
    assert vitals.emitted == [Webhook(result="oversize", received=vitals.webhook_sink.clock())]
    assert vitals.read == []
    assert exchange.sent[0]["headers"] == [(b"x-read", b"2400")]


# Whose message is being handled


def test_contact_is_bound_while_the_application_runs(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Handlers know the contact of the message. After the request there is no current contact."""
    seen: list[context.ContactIds | None] = []

    async def run() -> None:
        app = asgi.bot(before=lambda body: seen.append(context.current()))
        await asgi.acall(ChatVitalsMiddleware(app, door()))
        seen.append(context.current())

    asyncio.run(run())
    assert seen == [context.ContactIds("1", PHONE, ""), None]


def test_contact_is_not_bound_for_a_bad_signature(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """What is not accepted names nobody."""
    seen: list[context.ContactIds | None] = []
    app = asgi.bot(before=lambda body: seen.append(context.current()))
    asgi.call(ChatVitalsMiddleware(app, door(app_secret="another")), asgi.signed())
    assert seen == [None]


# Which requests are webhooks


@pytest.mark.parametrize(
    ("webhook_path", "path", "root_path"),
    [
        ("/webhook", "/webhook", ""),
        ("/webhook", "/webhook/", ""),
        ("/webhook/", "/webhook", ""),
        ("/webhook", "/api/webhook", "/api"),
        ("/webhook", "/api/webhook", "/api/"),
        ("/webhook", "/webhook", "/api"),
        ("/api/webhook", "/api/webhook", "/api"),
        ("/api/webhook", "/webhook", "/api"),
        ("/webhook", "/a/b/webhook", "/a/b"),
        ("/w/webhook", "/webhook", "/w"),
        ("/hook", "/hook", "/hook"),
        ("/", "/", ""),
        ("/", "", ""),
        ("/", "/api", "/api"),
    ],
)
def test_path_matches_with_and_without_root_path(
    asgi: AsgiDriver, door: type[DoorVitals], webhook_path: str, path: str, root_path: str
) -> None:
    """Both readings of ASGI's `path`, and one slash at the end, are the same webhook."""
    vitals = door()
    app = ChatVitalsMiddleware(asgi.bot(), vitals, webhook_path=webhook_path)
    asgi.call(app, asgi.scope(path=path, root_path=root_path))
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize(
    ("path", "root_path"),
    [("/webhook2", ""), ("/api/webhook", ""), ("/", ""), ("/webhook//", ""), ("/apiwebhook", "/api"), ("/x", "/api")],
)
def test_other_paths_do_not_match(asgi: AsgiDriver, door: type[DoorVitals], path: str, root_path: str) -> None:
    """A path that only looks like the webhook is not read."""
    vitals = door()
    asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals), asgi.scope(path=path, root_path=root_path))
    assert vitals.read == []


@pytest.mark.parametrize(
    "webhook_path",
    ["webhook", "", "/hooks/{tenant}", "/webhook?a=1", "/webhook#a", "/web%20hook", "//webhook", None, b"/webhook"],
)
def test_path_that_cannot_match_is_refused(asgi: AsgiDriver, door: type[DoorVitals], webhook_path: Any) -> None:
    """The sentence names the setting and the allowed values."""
    with pytest.raises(ValueError, match="webhook_path must be a fixed path that starts with '/'"):
        ChatVitalsMiddleware(asgi.bot(), door(), webhook_path=webhook_path)


def test_two_vitals_count_for_themselves(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The mark in the scope keeps one vitals from counting twice, not another one from counting."""
    first, second = door(), door()
    asgi.call(ChatVitalsMiddleware(ChatVitalsMiddleware(asgi.bot(), first), second))
    assert (first.results, second.results) == (["accepted"], ["accepted"])


# instrument_app


def webhook_app(**more: Any) -> Starlette:
    return Starlette(routes=[Route("/webhook", read_and_answer, methods=["POST"])], **more)


def test_instrumented_starlette_counts_and_serves_metrics(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """One call wires both. The application is returned."""
    vitals, app = door(metrics_token="t"), webhook_app()
    assert instrument_app(vitals, app, metrics_path="/metrics") is app
    client = TestClient(app)
    assert client.post("/webhook", content=asgi.body).text == str(len(asgi.body))
    assert client.get("/metrics").text == "up 1\n"
    assert client.head("/metrics").status_code == 200
    assert vitals.results == ["accepted"]


def test_metrics_are_served_nowhere_unasked(door: type[DoorVitals]) -> None:
    """Design decision 8."""
    assert TestClient(instrument_app(door(), webhook_app())).get("/metrics").status_code == 404


def test_metrics_are_not_hidden_by_a_catch_all(door: type[DoorVitals]) -> None:
    """The route stands before all others."""
    app = Starlette(routes=[Mount("/", Starlette(routes=[Route("/{path:path}", read_and_answer)]))])
    instrument_app(door(metrics_token="t"), app, metrics_path="/metrics")
    assert TestClient(app).get("/metrics").text == "up 1\n"


def test_only_reading_methods_are_taken_from_the_application(door: type[DoorVitals]) -> None:
    """A POST to the metrics path reaches the same route as before."""
    app = Starlette(routes=[Route("/{path:path}", read_and_answer, methods=["POST"])])
    instrument_app(door(metrics_token="t"), app, metrics_path="/metrics")
    assert TestClient(app).post("/metrics", content=b"123").text == "3"


def test_fastapi_with_a_dependency_on_the_raw_body(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The signature check of the bot and ours read the same body. The schema shows no metrics."""
    app = FastAPI()

    @app.post("/webhook")
    async def webhook(body: Annotated[bytes, Depends(raw_body)], items: dict[str, Any]) -> dict[str, Any]:
        contact = context.current()
        return {"read": len(body), "phone": contact.wa_id if contact else None, "items": len(items["entry"])}

    vitals = door(app_secret=asgi.secret, metrics_token="t")
    instrument_app(vitals, app, metrics_path="/metrics")
    client = TestClient(app)
    headers = {"x-hub-signature-256": asgi.sign(asgi.body), "content-type": "application/json"}
    answer = client.post("/webhook", content=asgi.body, headers=headers)
    assert answer.json() == {"read": len(asgi.body), "phone": PHONE, "items": 1}
    assert client.get("/metrics").text == "up 1\n"
    assert list(client.get("/openapi.json").json()["paths"]) == ["/webhook"]
    assert vitals.results == ["accepted"]


def test_instrumented_twice_counts_once_and_warns_once(
    asgi: AsgiDriver, door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A second call with the same arguments changes nothing."""
    vitals, app = door(), webhook_app()
    with caplog.at_level(logging.WARNING, "chatvitals"):
        for _ in range(2):
            instrument_app(vitals, app, metrics_path="/metrics")
    TestClient(app).post("/webhook", content=asgi.body)
    assert vitals.results == ["accepted"]
    assert len(app.user_middleware) == 1
    assert len(app.routes) == 2
    assert [r.getMessage().split(" ", 1)[0] for r in caplog.records] == ["/metrics"]


def test_middleware_of_the_users_own_list_counts_once(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The two ways of wiring do not add up."""
    vitals = door()
    app = webhook_app(middleware=[Middleware(ChatVitalsMiddleware, vitals=vitals)])
    instrument_app(vitals, app)
    TestClient(ChatVitalsMiddleware(app, vitals)).post("/webhook", content=asgi.body)
    assert vitals.results == ["accepted"]
    assert len(app.user_middleware) == 1


def test_second_webhook_path_is_watched_too(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """A bot may have two webhooks."""
    app = Starlette(routes=[Route(path, read_and_answer, methods=["POST"]) for path in ("/webhook", "/other")])
    vitals = door()
    instrument_app(vitals, instrument_app(vitals, app), webhook_path="/other")
    client = TestClient(app)
    for path in ("/webhook", "/other"):
        client.post(path, content=asgi.body)
    assert vitals.results == ["accepted", "accepted"]


def test_token_makes_the_warning_go_away(door: type[DoorVitals], caplog: pytest.LogCaptureFixture) -> None:
    """Only an open endpoint is worth a line."""
    instrument_app(door(metrics_token="t"), webhook_app(), metrics_path="/metrics")
    assert caplog.records == []


def test_other_applications_are_refused_with_the_way_out(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """A wrapped or foreign application has no middleware list that we could know."""
    for app in (asgi.bot(), ChatVitalsMiddleware(webhook_app(), door()), None):
        with pytest.raises(TypeError, match=r"ChatVitalsMiddleware\(app, vitals\)"):
            instrument_app(door(), app)


def test_metrics_path_must_differ_from_the_webhook_path(door: type[DoorVitals]) -> None:
    """Else the verification handshake would be answered with metrics."""
    with pytest.raises(ValueError, match="metrics_path must differ from webhook_path"):
        instrument_app(door(), webhook_app(), metrics_path="/webhook/")


def test_refused_call_changes_nothing(door: type[DoorVitals]) -> None:
    """A wrong metrics path leaves no middleware behind."""
    app = webhook_app()
    with suppress(ValueError):
        instrument_app(door(), app, metrics_path="metrics")
    assert app.user_middleware == []


# Over a real server


def test_starlette_under_uvicorn(asgi: AsgiDriver, door: type[DoorVitals], serve: Callable[[ASGIApp], int]) -> None:
    """Signed, forged and unsigned webhooks over a socket."""
    vitals, app = door(app_secret=asgi.secret, metrics_token="t"), webhook_app()
    port = serve(instrument_app(vitals, app, metrics_path="/metrics"))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        for signature in (asgi.sign(asgi.body), asgi.sign(b"other"), None):
            headers = {"X-Hub-Signature-256": signature} if signature else {}
            assert client.post("/webhook", content=asgi.body, headers=headers).text == str(len(asgi.body))
        assert client.get("/metrics").text == "up 1\n"
    assert vitals.results == ["accepted", "bad_signature", "unsigned"]
