"""Integration of ASGI applications. Webhooks are copied while the application reads them."""

from __future__ import annotations

import inspect
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from chatvitals import context
from chatvitals.integrations import _arguments, _http, _lost_webhooks, _paths
from chatvitals.integrations._http import SEEN, DoorVitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["ChatVitalsMiddleware", "instrument_app"]

App = TypeVar("App")

_SIGNATURE: Final = b"x-hub-signature-256"
logger: logging.Logger = logging.getLogger(__name__)


class MountableVitals(DoorVitals, Protocol):
    """The parts of `Vitals` that `instrument_app` needs."""

    def metrics_app(self) -> ASGIApp:
        """Return the application that serves `/metrics`."""


class ChatVitalsMiddleware:
    """A middleware that watches the webhook of an ASGI application. All other requests pass unchanged.

        app = ChatVitalsMiddleware(app, vitals, webhook_path="/webhook")

    Args:
        app: the ASGI application of the bot.
        vitals: the result of `chatvitals.init`.
        webhook_path: the path that WhatsApp posts to, within this application or in full.

    Raises:
        TypeError: `app` is no ASGI application, or `vitals` is not the result of `chatvitals.init`.
        ValueError: `webhook_path` is not a fixed path that starts with `/`.

    """

    def __init__(self, app: ASGIApp, vitals: DoorVitals, *, webhook_path: str = "/webhook") -> None:
        _arguments.check_asgi(app, vitals)
        self.app = app
        _mark_as_coroutine_function(_Delivery.send)
        self._sink = vitals.webhook_sink
        self._paths = _paths.spellings("webhook_path", webhook_path)
        self._sink.watches(webhook_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and watch it if it is a webhook.

        The mark is set in place. In a copy of the scope, outer middleware would miss the router's entries, such as the
        route. The delivery has no coroutine of its own, because one more costs as much as the look at the messages.
        """
        if scope.get("method") != "POST" or scope.get("type") != "http":  # most requests fail the first
            if scope.get("type") == "lifespan":
                return await self._live(scope, receive, send)
            return await self.app(scope, receive, send)
        if not self._is_webhook(scope):
            if self._sink.expects_webhooks and SEEN not in scope and _is_json(scope):
                receive = _looked_at(receive, _lost_webhooks.Lookout(self._sink, scope.get("path")))
            return await self.app(scope, receive, send)
        outer = scope.get(SEEN)
        delivery = _Delivery(self._sink, _scope=scope, _receive=receive, _send=send)
        try:
            scope[SEEN] = delivery.enter(outer)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            delivery.report(error)
        try:
            return await self.app(scope, delivery.receive, delivery.send)  # servers check what it returns
        except Exception:
            await delivery.failed()
            raise
        finally:
            delivery.end()
            try:
                if outer is None:
                    scope.pop(SEEN, None)
                else:
                    scope[SEEN] = outer
            except Exception as error:  # noqa: BLE001 - the bot must not see it
                delivery.report(error)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the lifespan on, and commit waiting events at its end.

        uvicorn ends its process by the signal that stopped it, so that no `atexit` handler runs. Nothing is awaited
        after the application returns, because uvicorn would go on meanwhile.
        """
        try:
            return await self.app(scope, receive, send)
        finally:
            with self._sink.guard("asgi"):
                if self._sink.flush is not None:
                    self._sink.flush()

    def _is_webhook(self, scope: Scope) -> bool:
        """Return whether this is the webhook's path, and no outer middleware counts it for the same sink."""
        path = scope.get("path")
        if path in self._paths and SEEN not in scope and context.bound_handling() is None:  # nearly always
            return True
        if path not in self._paths and not _paths.matches(self._paths, path, scope.get("root_path")):
            return False
        return not _http.is_seen(self._sink, scope.get(SEEN), _signature, scope)


def _mark_as_coroutine_function(function: Any) -> None:
    """Mark a function that returns an awaitable. Without the mark, asgiref's bridge to WSGI warns."""
    if sys.version_info >= (3, 12):
        inspect.markcoroutinefunction(function)
    else:
        from asyncio import coroutines  # noqa: PLC0415 - a bot that is not asynchronous needs no asyncio

        function._is_coroutine = coroutines._is_coroutine  # type: ignore[attr-defined]  # noqa: SLF001 - asyncio's mark


def _signature(scope: Scope) -> str | None:
    """Return the signature header. Several headers are joined, so that none of them is valid."""
    headers = scope.get("headers") or ()
    found: bytes | None = None
    for name, value in headers:
        if name == _SIGNATURE:
            found = value if found is None else found + b", " + value
    if found is None:  # a server that keeps the case of names
        others = _values(headers, _SIGNATURE)
        found = b", ".join(others) if others else None
    return None if found is None else found.decode("latin-1")


def _is_json(scope: Scope) -> bool:
    return any(b"json" in value for value in _values(scope.get("headers"), b"content-type"))


def _looked_at(receive: Receive, lookout: _lost_webhooks.Lookout) -> Receive:
    """Return `receive` that also passes each message to the lookout for lost webhooks."""

    async def looking() -> Message:
        message = await receive()
        if lookout.is_copying and message.get("type") == "http.request":
            lookout.copy(message.get("body") or b"", last=not message.get("more_body"))
        return message

    return looking


def instrument_app(
    vitals: MountableVitals, app: App, *, webhook_path: str = "/webhook", metrics_path: str | None = None
) -> App:
    """Watch the webhook of a Starlette or FastAPI application before it starts, and optionally serve `/metrics`.

    Args:
        vitals: the result of `chatvitals.init`.
        app: the application. It is changed in place. A second call counts nothing twice.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Returns:
        The given application.

    Raises:
        TypeError: `app` is neither Starlette nor FastAPI, or `vitals` is not the result of `chatvitals.init`.
        RuntimeError: the application has started already.
        ValueError: a path is not a fixed path that starts with `/`, both are the same, or the application serves
            `metrics_path` itself.

    """
    _arguments.check_vitals(vitals)
    _paths.check_paths(webhook_path, metrics_path)
    if not is_starlette(app):
        raise TypeError(_arguments.unknown_sentence(app))
    starlette: Any = app
    if starlette.middleware_stack is not None:
        raise RuntimeError(
            "instrument_app was called after the application had started, when its middleware is fixed: "
            "call it at the place where the application is created, not in a start-up handler or a request"
        )
    routes = starlette.router.routes
    serve = metrics_path is not None and not any(_serves(route, vitals, metrics_path) for route in routes)
    if serve and metrics_path is not None and _taken(routes, metrics_path) is not None:
        raise ValueError(_arguments.taken_sentence(metrics_path))
    paths = _paths.spellings("webhook_path", webhook_path)
    if not any(_watches(middleware, vitals, paths) for middleware in starlette.user_middleware):
        starlette.add_middleware(ChatVitalsMiddleware, vitals=vitals, webhook_path=webhook_path)
        vitals.webhook_sink.watches(webhook_path)
    if serve and metrics_path is not None:
        with vitals.webhook_sink.guard("asgi"):
            _serve_metrics(vitals, starlette, metrics_path)
    return app


def is_starlette(app: object) -> bool:
    """Return whether this is a Starlette or FastAPI application."""
    return _arguments.is_instance(app, "starlette.applications", "Starlette")


class _Delivery(_http.Delivery, eq=False, kw_only=True):
    """One POST on the webhook path of an ASGI application."""

    _scope: Scope
    _receive: Receive
    _send: Send

    where = "asgi"

    async def failed(self) -> None:
        """Answer 200 in place of an application that raised, if the webhook is about account events and no more."""
        if self._acknowledges and self._status is None:
            with self._sink.guard("asgi"):
                await self._acknowledge()

    async def receive(self) -> Message:
        """Return the server's next message unchanged, after a look at it."""
        message = await self._receive()
        if self._chunks is not None:
            try:
                kind = message.get("type")
                if kind == "http.request":
                    self.copy(message.get("body") or b"", last=not message.get("more_body"))
                elif kind == "http.disconnect":
                    self.forget()
            except Exception as error:  # noqa: BLE001 - the bot must not see it
                self.forget()
                self._sink.guard.report("asgi", error)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Send the application's message unchanged. The start of the response is the acknowledgement.

        Only with `acknowledge_account_events`, an error for account events goes out with the status 200. The returned
        awaitable is the server's own, because a coroutine in between would cost as much as the look at the message.
        """
        if self._status is None:
            try:
                if message.get("type") == "http.response.start":
                    status = message.get("status")
                    if self._unread is None and not self._acknowledges:  # nothing waits for the status
                        self._status = status
                    elif self.answered(status):
                        message = {**message, "status": 200}
            except Exception as error:  # noqa: BLE001 - the bot must not see it
                self._sink.guard.report("asgi", error)
        return self._send(message)

    def signature(self) -> str | None:
        """Return the signature header. Several headers are joined, so that none of them is valid."""
        return _signature(self._scope)

    def declared_length(self) -> int:
        """Return the declared length of the body in bytes, or 0 where there is no valid length."""
        try:
            return max(map(int, _values(self._scope.get("headers"), b"content-length")), default=0)
        except ValueError:
            return 0

    async def _acknowledge(self) -> None:
        """Answer in place of an application that raised. Its server then sees the exception and sends nothing more."""
        await self.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await self.send({"type": "http.response.body", "body": b""})


class _Metrics:
    """The metrics application as an object, since Starlette treats a function as a handler of requests."""

    __slots__ = ("_checked", "_routes", "_theirs", "app", "path", "vitals")

    def __init__(self, vitals: MountableVitals, routes: list[Any], path: str) -> None:
        self.vitals = vitals
        self.app = vitals.metrics_app()
        self.path = path
        self._routes = routes
        self._checked = False
        self._theirs: Any = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the metrics, unless the bot has added its own route since. The bot's route goes first."""
        if not self._checked:
            self._checked = True
            with self.vitals.webhook_sink.guard("metrics"):
                others = [route for route in self._routes if getattr(route, "endpoint", None) is not self]
                self._theirs = _taken(others, self.path)
                if self._theirs is not None:
                    logger.warning("The metrics of chatvitals are not shown: %s.", _arguments.taken_sentence(self.path))
        if self._theirs is None:
            await self.app(scope, receive, send)
            return
        scope.update(self._theirs.matches(scope)[1])
        await self._theirs.handle(scope, receive, send)


def _serve_metrics(vitals: MountableVitals, app: Any, path: str) -> None:
    """Insert the route before all others, where no catch-all hides it."""
    from chatvitals.integrations._starlette_route import MetricsRoute  # noqa: PLC0415 - it needs Starlette

    routes = app.router.routes
    routes.insert(0, MetricsRoute(path, _Metrics(vitals, routes, path), routes))
    vitals.webhook_sink.serves(path)
    _http.warn_if_open(vitals.webhook_sink, path)


def _taken(routes: Iterable[Any], path: str) -> Any:
    """Return the first of `routes` that answers GET on exactly this path or is mounted above it, or None.

    Routes with parameters are ignored, because a catch-all answers everything, mostly with 404.
    """
    spelled = _paths.spellings("metrics_path", path)
    for route in routes:
        if isinstance(getattr(route, "endpoint", None), _Metrics):
            continue  # of another `Vitals`, whose metrics stay
        for found, is_mount in _served_paths(route, "", 0):
            if found in spelled or (is_mount and f"{path}/".startswith(f"{found}/")):
                return route
    return None


def _served_paths(route: Any, prefix: str, depth: int) -> Iterator[tuple[str, bool]]:
    """Yield the paths at which a route and the routes below it answer GET.

    The flag says whether an application with unknown routes is mounted there, which may answer all paths below.
    """
    if depth > 10:
        return
    path = prefix + (getattr(route, "path", None) or "")
    included = getattr(route, "original_router", None)  # FastAPI keeps included routers separate
    if included is not None:
        prefix += getattr(getattr(route, "include_context", None), "prefix", None) or ""
        for inner in included.routes:
            yield from _served_paths(inner, prefix, depth + 1)
    elif inspect.isroutine(getattr(route, "endpoint", None)) or hasattr(route, "methods"):
        if "GET" in (getattr(route, "methods", None) or {"GET"}):
            yield path, False
    elif inner_routes := getattr(route, "routes", None):
        for inner in inner_routes:
            yield from _served_paths(inner, path, depth + 1)
    elif path:  # at the root, such an application answers everything, mostly with 404
        yield path, True


def _watches(middleware: Any, vitals: DoorVitals, paths: tuple[str, str]) -> bool:
    """Return whether this entry of a middleware list is ours, for the same vitals and path."""
    if middleware.cls is not ChatVitalsMiddleware or middleware.kwargs.get("vitals") is not vitals:
        return False
    return paths == _paths.spellings("webhook_path", middleware.kwargs.get("webhook_path", "/webhook"))


def _serves(route: object, vitals: MountableVitals, path: str) -> bool:
    """Return whether this route already serves the metrics of `vitals` at `path`."""
    endpoint = getattr(route, "endpoint", None)
    return isinstance(endpoint, _Metrics) and endpoint.vitals is vitals and getattr(route, "path", None) == path


def _values(headers: Iterable[tuple[bytes, bytes]] | None, name: bytes) -> list[bytes]:
    length = len(name)  # the comparison of lengths avoids most calls of `lower`
    return [value for key, value in headers or () if len(key) == length and key.lower() == name]
