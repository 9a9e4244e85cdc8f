from __future__ import annotations

import asyncio
import io
import logging
from typing import TYPE_CHECKING, Any

import django
import httpx
import pytest
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.urls import path as url
from django.views.decorators.csrf import csrf_exempt
from fastapi import APIRouter, FastAPI
from flask import Flask, request
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from chatvitals import context
from chatvitals.integrations._frameworks import instrument_app
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from tests.conftest import SECRET, sign, webhook_body

if TYPE_CHECKING:
    from tests.conftest import DoorVitals

BODY = webhook_body("393331234567", "wamid.1")


def flask_app() -> Flask:
    """Return a bot whose view a library could own."""
    app = Flask("bot")

    @app.post("/webhook")
    def webhook() -> str:
        request.get_json()
        return "known" if context.current() else "unknown"

    return app


def own_metrics(_: Any = None) -> PlainTextResponse:
    """Serve the bot's own metrics."""
    return PlainTextResponse("own")


def test_flask_is_instrumented_in_place(door: type[DoorVitals]) -> None:
    """Its views know the contact, and the metrics are served."""
    app, vitals = flask_app(), door(app_secret=SECRET, metrics_token="t")
    assert instrument_app(vitals, app, metrics_path="/metrics") is app
    client = app.test_client()
    answer = client.post("/webhook", data=BODY, headers={"X-Hub-Signature-256": sign(BODY)}, content_type="text/json")
    assert answer.status_code == 415  # the bot's own verdict
    answer = client.post(
        "/webhook", data=BODY, headers={"X-Hub-Signature-256": sign(BODY)}, content_type="application/json"
    )
    assert answer.text == "known"
    assert vitals.results == ["accepted"]
    assert client.get("/metrics").text == "up 1\n"
    assert client.head("/metrics").text == ""
    assert client.post("/metrics").status_code == 404


def test_flask_is_counted_once_however_often_it_is_instrumented(door: type[DoorVitals]) -> None:
    """The second call adds what is missing."""
    app, vitals = flask_app(), door(metrics_token="t")
    instrument_app(vitals, app)
    instrument_app(vitals, app, metrics_path="/metrics")
    app.test_client().post("/webhook", data=BODY, content_type="application/json")
    assert vitals.results == ["accepted"]
    assert app.test_client().get("/metrics").text == "up 1\n"


def test_flask_after_its_first_request_says_what_to_do(door: type[DoorVitals]) -> None:
    """By then a bot in several threads has webhooks under way."""
    app = flask_app()
    app.test_client().get("/")
    with pytest.raises(RuntimeError, match="where the application is created"):
        instrument_app(door(), app)


def test_60_a_route_of_flask_is_not_hidden(door: type[DoorVitals], caplog: pytest.LogCaptureFixture) -> None:
    """One that is there is refused. One that comes later goes on answering, and the log says so."""
    app = flask_app()
    instrument_app(door(metrics_token="t"), app, metrics_path="/metrics")
    app.add_url_rule("/metrics", "own", lambda: "own")
    assert app.test_client().get("/metrics").text == "own"
    assert "the bot answers /metrics already" in caplog.text
    app = flask_app()
    app.add_url_rule("/metrics", "own", lambda: "own")
    with pytest.raises(ValueError, match=r"registry\.register"):
        instrument_app(door(), app, metrics_path="/metrics")


def test_60_what_is_mounted_into_flask_is_not_hidden(door: type[DoorVitals]) -> None:
    """As prometheus_client's documentation shows it."""
    app = flask_app()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": flask_app()})  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"registry\.register"):
        instrument_app(door(), app, metrics_path="/metrics")


def _included() -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/metrics")
    router.add_api_route("/", own_metrics)
    app.include_router(router)
    return app


@pytest.mark.parametrize(
    "app",
    [
        Starlette(routes=[Route("/metrics", own_metrics)]),
        Starlette(routes=[Route("/metrics/", own_metrics)]),
        Starlette(routes=[Mount("/metrics", ASGIHandler)]),
        Starlette(routes=[Mount("", Starlette(routes=[Route("/metrics", own_metrics)]))]),
        Starlette(routes=[Mount("/metrics", Starlette(routes=[Route("/", own_metrics)]))]),
        Starlette(routes=[Mount("", Starlette(routes=[Mount("/metrics", ASGIHandler)]))]),
        Starlette(routes=[Mount("/metrics", Starlette(routes=[Mount("/", ASGIHandler)]))]),
        _included(),
    ],
    ids=["route", "slash", "mount", "mounted route", "route of a mount", "mounted mount", "mount of a mount", "router"],
)
def test_60_a_metrics_path_that_is_taken_is_refused(door: type[DoorVitals], app: Starlette) -> None:
    """Else the bot's own metrics would disappear without a word. Nothing is changed."""
    with pytest.raises(ValueError, match=r"the bot answers /metrics already: choose another metrics_path"):
        instrument_app(door(), app, metrics_path="/metrics")
    assert app.user_middleware == []


def test_60_a_route_that_is_added_later_goes_on_answering(
    door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """prometheus-fastapi-instrumentator exposes its metrics in a start-up handler."""
    app = FastAPI()
    instrument_app(door(metrics_token="t"), app, metrics_path="/metrics")
    app.add_api_route("/metrics", own_metrics)
    with caplog.at_level(logging.WARNING):
        assert TestClient(app).get("/metrics").text == "own"
    assert "metrics of chatvitals are not shown" in caplog.text


@pytest.mark.parametrize("app", [None, object(), lambda environ, start: []])
def test_an_unknown_application_names_the_ways(door: type[DoorVitals], app: object) -> None:
    """They are in the sentence."""
    with pytest.raises(TypeError, match=r"ChatVitalsMiddleware.*instrument_wsgi.*observe_webhook"):
        instrument_app(door(), app)


def test_the_paths_of_a_door_are_known(door: type[DoorVitals]) -> None:
    """The line at the start shows them."""
    vitals = door(metrics_token="t")
    instrument_app(vitals, flask_app(), webhook_path="/hook", metrics_path="/metrics")
    assert vitals.webhook_sink.webhook_paths == {"/hook"}
    assert vitals.webhook_sink.metrics_paths == {"/metrics"}


# Django


@pytest.fixture(scope="module")
def django_urls() -> Any:
    """A project with one view. Django has one configuration per process."""

    @csrf_exempt  # type: ignore[untyped-decorator]  # Django has no types
    def webhook(request: Any) -> Any:
        length = len(request.body)
        return HttpResponse(b"%d" % length + b" known" * (context.current() is not None))

    class Urls:
        urlpatterns = (url("webhook", webhook), url("own", lambda _: HttpResponse("own")))

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=Urls, USE_TZ=True, SECRET_KEY="x")
        django.setup()
    return Urls


def test_django_on_wsgi_is_instrumented_in_place(door: type[DoorVitals], django_urls: Any) -> None:
    """Views know the contact, and the metrics are served where no view is."""
    vitals = door(metrics_token="t")
    app = instrument_app(vitals, WSGIHandler(), metrics_path="/metrics")
    assert isinstance(app, WSGIHandler)
    assert wsgi_call(app, "/webhook", BODY) == (200, b"%d known" % len(BODY))
    assert wsgi_call(app, "/metrics") == (200, b"up 1\n")
    assert vitals.results == ["accepted"]


def test_60_a_view_of_django_is_not_hidden(door: type[DoorVitals], django_urls: Any) -> None:
    """It goes on answering."""
    app = instrument_app(door(metrics_token="t"), WSGIHandler(), metrics_path="/own")
    assert wsgi_call(app, "/own") == (200, b"own")


def test_django_on_asgi_is_instrumented_in_place(door: type[DoorVitals], django_urls: Any) -> None:
    """The body that Django has put into a file is copied as the view reads it."""
    vitals = door(metrics_token="t")
    app = instrument_app(vitals, ASGIHandler(), metrics_path="/metrics")

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot.example") as client:
            return await client.post("/webhook", content=BODY)

    assert asyncio.run(post()).content == b"%d known" % len(BODY)
    assert vitals.results == ["accepted"]


def wsgi_call(app: Any, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request. Return status and body."""
    statuses: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET" if body is None else "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "bot.example",
        "SERVER_PORT": "80",
        "CONTENT_LENGTH": str(len(body or b"")),
        "wsgi.input": io.BytesIO(body or b""),
        "wsgi.url_scheme": "http",
    }
    response = app(environ, lambda status, headers, exc_info=None: statuses.append(status))
    try:
        return int(statuses[0][:3]), b"".join(response)
    finally:
        getattr(response, "close", lambda: None)()


def test_an_application_is_known_after_an_instrumentation_has_replaced_its_class(
    monkeypatch: pytest.MonkeyPatch, door: type[DoorVitals]
) -> None:
    """`opentelemetry-instrument` puts a subclass of Starlette in its module. FastAPI derives from the one before."""

    class Instrumented(Starlette):
        """As OpenTelemetry makes it."""

    monkeypatch.setattr("starlette.applications.Starlette", Instrumented)
    app = FastAPI()
    instrument_app(door(), app)
    assert [str(middleware.cls) for middleware in app.user_middleware] == [str(ChatVitalsMiddleware)]


# Applications that are mounted in another


@pytest.mark.parametrize("metrics_path", ["/metrics", "/bot/metrics"])
def test_the_metrics_of_a_mounted_application_are_found(door: type[DoorVitals], metrics_path: str) -> None:
    """Their path is given within the application, or in full as the person sees it."""
    app = FastAPI()
    instrument_app(door(metrics_token="t"), app, metrics_path=metrics_path)
    outer = TestClient(Starlette(routes=[Mount("/bot", app)]))
    assert outer.get("/bot/metrics").status_code == 200
    assert outer.get("/bot/other").status_code == 404
    assert outer.post("/bot/metrics").status_code in {404, 405}


@pytest.mark.parametrize("metrics_path", ["/metrics", "/bot/metrics"])
def test_the_metrics_of_a_mounted_wsgi_application_are_found(door: type[DoorVitals], metrics_path: str) -> None:
    """As with ASGI."""
    app, outer = flask_app(), flask_app()
    instrument_app(door(metrics_token="t"), app, metrics_path=metrics_path)
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/bot": app})  # type: ignore[method-assign]
    assert outer.test_client().get("/bot/metrics").status_code == 200
    assert outer.test_client().get("/bot/other").status_code == 404


def test_60_a_route_of_a_mounted_application_is_not_hidden(door: type[DoorVitals]) -> None:
    """The path in full asks for the bot's route, too."""
    app, flask = FastAPI(), flask_app()
    for each in (app, flask):
        instrument_app(door(metrics_token="t"), each, metrics_path="/bot/metrics")
    app.add_api_route("/metrics", own_metrics)
    flask.add_url_rule("/metrics", "own", lambda: "own")
    outer = flask_app()
    outer.wsgi_app = DispatcherMiddleware(outer.wsgi_app, {"/bot": flask})  # type: ignore[method-assign]
    assert TestClient(Starlette(routes=[Mount("/bot", app)])).get("/bot/metrics").text == "own"
    assert outer.test_client().get("/bot/metrics").text == "own"
