"""One bot for every server: it answers with the size of the body that it has read. `BARE` leaves chatvitals out.

`KIND` names the framework. Start `app` by a server, or `python -m tests.helpers.every_server_bot PORT`.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

import prometheus_client

import chatvitals

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "the-app-secret"
METRICS = "/metrics"
COUNTERS = {"chatvitals_webhooks": "result", "chatvitals_internal_errors": "where"}
SETTINGS: dict[str, Any] = {"app_secret": SECRET, "store": "memory:", "settle_after": 0.0}
BARE = "BARE" in os.environ


@cache
def vitals() -> Any:
    """Return the vitals of this process."""
    if os.environ["KIND"].startswith("django"):
        from chatvitals.integrations.django import get_vitals  # noqa: PLC0415 - each kind has its own framework

        return get_vitals()
    return chatvitals.init(**SETTINGS)


def is_routed(path: str) -> bool:
    """Return whether the bot has a route for a path."""
    return path.rstrip("/") in {"/webhook", "/seen"}


def reply(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    """Return status and body of an answer."""
    if path == "/seen":
        return 200, json.dumps({} if BARE else seen()).encode()
    if not is_routed(path):
        return 404, b"unknown"
    if method != "POST":
        return 405, b"" if method == "HEAD" else b"post it"
    if b"raise an error" in body:
        raise ValueError(body)
    asked = re.search(rb"answer (\d+)", body)
    return int(asked[1]) if asked else 200, b"read %d bytes" % len(body)


def seen() -> dict[str, float]:
    """Return the counters that are not 0, by name and label."""
    vitals().settle(60)
    registry = prometheus_client.CollectorRegistry()
    registry.register(vitals().collector)
    return {
        f"{family.name} {sample.labels[COUNTERS[family.name]]}": sample.value
        for family in registry.collect()
        if family.name in COUNTERS
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }


def _instrumented(bot: Any) -> Any:
    return bot if BARE else vitals().instrument_app(bot, metrics_path=METRICS)


def asgi() -> Any:
    """Return a plain ASGI application."""

    async def bot(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        body, more = b"", is_routed(scope["path"])
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, text = reply(scope["method"], scope["path"], body)
        length = str(len(text)).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": text})

    return bot if BARE else chatvitals.ChatVitalsMiddleware(bot, vitals())


def wsgi() -> Any:
    """Return a plain WSGI application."""

    def bot(environ: Any, start_response: Any) -> Any:
        body = b""
        if is_routed(environ["PATH_INFO"]):
            whole = environ.get("wsgi.input_terminated")  # without it, only the declared length may be read
            body = environ["wsgi.input"].read(*() if whole else (int(environ.get("CONTENT_LENGTH") or 0),))
        status, text = reply(environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        start_response(f"{status} Whatever", [("Content-Length", str(len(text)))])
        return [text]

    return bot if BARE else vitals().instrument_wsgi(bot, metrics_path=METRICS)


def starlette() -> Any:
    """Return an application of Starlette."""
    from starlette.applications import Starlette  # noqa: PLC0415 - each kind has its own framework
    from starlette.responses import Response  # noqa: PLC0415

    async def handle(request: Any) -> Any:
        status, text = reply(request.method, request.url.path, await request.body())
        return Response(text, status)

    bot = Starlette()
    for path in ("/webhook", "/webhook/", "/seen"):
        bot.add_route(path, handle, methods=["GET", "POST"])
    return _instrumented(bot)


def flask() -> Any:
    """Return an application of Flask."""
    import flask as framework  # noqa: PLC0415 - each kind has its own framework

    def handle() -> Any:
        request = framework.request
        status, text = reply(request.method, request.path, request.get_data())
        return text, status

    bot = framework.Flask("bot")
    bot.config["MAX_CONTENT_LENGTH"] = 10_000_000  # with it, Werkzeug calls other methods of the server's body
    return _instrumented(_with_rules(bot, handle))


def quart() -> Any:
    """Return an application of Quart."""
    import quart as framework  # noqa: PLC0415 - each kind has its own framework

    async def handle() -> Any:
        request = framework.request
        status, text = reply(request.method, request.path, await request.get_data())
        return text, status

    return _instrumented(_with_rules(framework.Quart("bot"), handle))


def _with_rules(bot: Any, handle: Callable[[], Any]) -> Any:
    for name in ("webhook", "webhook/", "seen"):
        bot.add_url_rule(f"/{name}", name, handle, methods=["GET", "POST"])
    return bot


def django_wsgi() -> Any:
    """Return a Django project for WSGI."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - each kind has its own framework

    _configure()
    return get_wsgi_application()


def django_asgi() -> Any:
    """Return a Django project for ASGI."""
    from django.core.asgi import get_asgi_application  # noqa: PLC0415 - each kind has its own framework

    _configure()
    return get_asgi_application()


def _configure() -> None:
    from django.conf import settings  # noqa: PLC0415 - each kind has its own framework
    from django.http import HttpResponse  # noqa: PLC0415
    from django.urls import re_path  # noqa: PLC0415

    def handle(request: Any) -> Any:
        status, text = reply(request.method, request.path, request.body)
        return HttpResponse(text, status=status)

    urls = type(sys)("every_server_urls")
    urls.urlpatterns = [re_path("^(?:webhook/?|seen)$", handle)]  # type: ignore[attr-defined]  # a module for Django
    sys.modules[urls.__name__] = urls
    ours: dict[str, Any] = {
        "INSTALLED_APPS": ["chatvitals.integrations.django"],
        "MIDDLEWARE": ["chatvitals.integrations.django.Middleware"],
        "CHATVITALS": {**SETTINGS, "metrics_path": METRICS},
    }
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=urls.__name__,
        DATA_UPLOAD_MAX_MEMORY_SIZE=10_000_000,
        **({} if BARE else ours),
    )


def aiohttp() -> Any:
    """Return an application of aiohttp's server."""
    from aiohttp import web  # noqa: PLC0415 - each kind has its own framework

    async def handle(request: web.Request) -> web.Response:
        status, text = reply(request.method, request.path, await request.read())
        return web.Response(status=status, body=text)

    bot = web.Application(client_max_size=10_000_000)
    for path in ("/webhook", "/webhook/", "/seen"):
        bot.router.add_route("*", path, handle)
    return _instrumented(bot)


def tornado() -> Any:
    """Return an application of Tornado."""
    from tornado.web import Application, RequestHandler  # noqa: PLC0415 - each kind has its own framework

    class Handler(RequestHandler):  # type: ignore[misc]  # Tornado may be missing when types are checked
        def post(self) -> None:
            status, text = reply(self.request.method, self.request.path, self.request.body)
            self.set_status(status)
            self.finish(text)

        get = post

    return _instrumented(Application([("/webhook/?", Handler), ("/seen", Handler)]))


def sanic(*, stream: bool = False) -> Any:
    """Return an application of Sanic."""
    import sanic as framework  # noqa: PLC0415 - each kind has its own framework

    async def handle(request: Any) -> Any:
        body = b"".join([piece async for piece in request.stream]) if stream else request.body
        status, text = reply(request.method, request.path, body)
        return framework.response.raw(text, status=status)

    bot = framework.Sanic("bot")
    bot.add_route(handle, "/webhook", methods=["GET", "POST"], stream=stream)
    bot.add_route(handle, "/seen", methods=["GET"], name="seen")
    return _instrumented(bot)


def sanic_stream() -> Any:
    """Return an application of Sanic whose handler reads the body itself."""
    return sanic(stream=True)


def _serve(kind: str, port: int) -> None:
    """Run the server that belongs to a framework."""
    if kind == "aiohttp":
        from aiohttp import web  # noqa: PLC0415 - as above

        web.run_app(app, host="127.0.0.1", port=port, print=None)
    elif kind == "tornado":
        asyncio.run(_serve_tornado(port))
    elif kind == "django_wsgi":
        from django.core.servers.basehttp import run  # noqa: PLC0415 - as above

        run("127.0.0.1", port, app, threading=True)
    elif kind == "flask":
        app.run("127.0.0.1", port)
    else:
        app.run("127.0.0.1", port, single_process=True, motd=False, access_log=False)


async def _serve_tornado(port: int) -> None:
    app.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


app: Any = globals()[os.environ["KIND"]]() if "KIND" in os.environ else None

if __name__ == "__main__":
    _serve(os.environ["KIND"], int(sys.argv[1]))
