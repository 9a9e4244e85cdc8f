"""The choice of the integration for an application of any known framework."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from chatvitals.integrations import _arguments, _paths, asgi, wsgi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

App = TypeVar("App")


class MountableVitals(asgi.MountableVitals, wsgi.MountableVitals, Protocol):
    """The parts of `Vitals` that `instrument_app` needs."""


def instrument_app(
    vitals: MountableVitals, app: App, *, webhook_path: str | None = None, metrics_path: str | None = None
) -> App:
    """Do what `Vitals.instrument_app` documents."""
    if _arguments.is_instance(app, "pywa.client", "WhatsApp"):
        from chatvitals.integrations import pywa  # noqa: PLC0415 - most bots do not use it

        pywa.instrument(vitals, app, webhook_path, metrics_path, instrument_app)
        return app
    webhook_path = "/webhook" if webhook_path is None else webhook_path
    _paths.check_paths(webhook_path, metrics_path)
    if asgi.is_starlette(app):
        return asgi.instrument_app(vitals, app, webhook_path=webhook_path, metrics_path=metrics_path)
    for module, name, instrument in _KINDS:
        if _arguments.is_instance(app, module, name):
            instrument(vitals, app, webhook_path, metrics_path)
            return app
    raise TypeError(_arguments.unknown_sentence(app))


def _flask(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    if getattr(app, "_got_first_request", False):
        raise RuntimeError(_arguments.started_sentence())

    def serves(path: str) -> bool:
        return _rules_serve(app.url_map.iter_rules(), path)

    if metrics_path is not None and serves(metrics_path):
        raise ValueError(_arguments.taken_sentence(metrics_path))
    app.wsgi_app = _wrapped(vitals, app.wsgi_app, webhook_path, metrics_path, serves)


def _quart(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    if metrics_path is not None:
        if _rules_serve(app.url_map.iter_rules(), metrics_path):
            raise ValueError(_arguments.taken_sentence(metrics_path))
        from chatvitals.integrations import _doorway  # noqa: PLC0415 - a bot that is not asynchronous needs no asyncio

        door = _doorway.Doorway(vitals, webhook_path, metrics_path)

        async def metrics() -> tuple[bytes, int, dict[str, str]]:
            request = sys.modules["quart"].request
            status, headers, body = await door.metrics(request.method, request.headers.getlist)
            return body, status, headers

        app.add_url_rule(metrics_path, "chatvitals_metrics", metrics)
    app.asgi_app = asgi.ChatVitalsMiddleware(app.asgi_app, vitals, webhook_path=webhook_path)


def _django(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    from chatvitals.integrations import django  # noqa: PLC0415 - the framework is imported already

    django.instrument_handler(vitals, app, webhook_path, metrics_path)


def _aiohttp(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    from chatvitals.integrations import aiohttp  # noqa: PLC0415 - as above

    aiohttp.instrument(vitals, app, webhook_path, metrics_path)


def _tornado(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    from chatvitals.integrations import tornado  # noqa: PLC0415 - as above

    tornado.instrument(vitals, app, webhook_path, metrics_path)


def _sanic(vitals: MountableVitals, app: Any, webhook_path: str, metrics_path: str | None) -> None:
    from chatvitals.integrations import sanic  # noqa: PLC0415 - as above

    sanic.instrument(vitals, app, webhook_path, metrics_path)


def _wrapped(
    vitals: MountableVitals,
    app: Any,
    webhook_path: str,
    metrics_path: str | None,
    serves: Callable[[str], bool],
) -> wsgi.ChatVitalsWSGIMiddleware:
    """Return the middleware around `app`, or `app` where it is this middleware already."""
    if isinstance(app, wsgi.ChatVitalsWSGIMiddleware) and app.watches(vitals, webhook_path):
        app.serve_metrics(metrics_path, serves)
        return app
    door = wsgi.ChatVitalsWSGIMiddleware(app, vitals, webhook_path=webhook_path)
    door.serve_metrics(metrics_path, serves)
    return door


def _rules_serve(rules: Iterable[Any], path: str) -> bool:
    """Return whether one of Werkzeug's rules answers GET on exactly this path."""
    spelled = _paths.spellings("metrics_path", path)
    return any(
        rule.rule in spelled and "GET" in (rule.methods or {"GET"}) and rule.endpoint != "chatvitals_metrics"
        for rule in rules
    )


_KINDS: tuple[tuple[str, str, Callable[[MountableVitals, Any, str, str | None], None]], ...] = (
    ("flask", "Flask", _flask),
    ("quart", "Quart", _quart),
    ("django.core.handlers.base", "BaseHandler", _django),
    ("aiohttp.web_app", "Application", _aiohttp),
    ("tornado.web", "Application", _tornado),
    ("sanic.app", "Sanic", _sanic),
)
