"""Integration of Sanic, on its own server and on ASGI. Webhooks are copied once Sanic or the handler has read them."""

from __future__ import annotations

from functools import partial, wraps
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from sanic import response as responses

from chatvitals.integrations import _arguments, _http
from chatvitals.integrations._doorway import Doorway, HeaderDelivery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sanic import HTTPResponse, Request, Sanic

    from chatvitals.integrations._lost_webhooks import Lookout
    from chatvitals.integrations.wsgi import MountableVitals

__all__ = ["instrument"]

_FIRST = 1_000_000  # priority of our middleware, because Sanic runs high priorities first


def instrument(vitals: MountableVitals, app: Sanic, webhook_path: str, metrics_path: str | None) -> None:
    """Watch the webhook of a Sanic application. `vitals.instrument_app(app)` calls it.

    Args:
        vitals: the result of `chatvitals.init`.
        app: the application. It is changed in place.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Raises:
        RuntimeError: the application has started already.
        ValueError: the application answers `metrics_path` itself.

    """
    if app.router.finalized:
        raise RuntimeError(_arguments.started_sentence())
    if metrics_path is not None and any(_serves(route, metrics_path, "GET") for route in app.router.routes):
        raise ValueError(_arguments.taken_sentence(metrics_path))
    hooks = _Hooks(Doorway(vitals, webhook_path, metrics_path))
    app.register_listener(hooks.before_start, "before_server_start")
    app.register_middleware(hooks.take, "request", priority=_FIRST)
    app.register_middleware(hooks.judge, "response", priority=-_FIRST)
    if metrics_path is not None:
        app.add_route(hooks.metrics, metrics_path, methods=["GET", "HEAD"], name="chatvitals_metrics")


class _Hooks:
    """The functions that Sanic calls."""

    def __init__(self, door: Doorway) -> None:
        self._door = door

    async def before_start(self, app: Sanic, *_: Any) -> None:
        """Wrap the handlers of the webhook once all routes exist."""
        with self._door.sink.guard(_Delivery.where):
            for route in app.router.routes:
                if _serves(route, self._door.webhook_paths[1], "POST"):
                    route.handler = self._handler(route.handler)

    async def take(self, request: Request) -> None:
        """Receive a webhook before any other middleware and the handler, or while a streaming handler reads it."""
        door, values = self._door, partial(_values, request.headers)
        inner = getattr(request.ctx, "chatvitals", None)  # Sanic calls the handler of the first middleware last
        outer = _outer(request) if inner is None else None
        if door.watches(request.method, request.path, inner or outer, values):
            delivery = _Delivery(door.sink, _values=values)
            request.ctx.chatvitals = delivery.around(inner) if inner else delivery.within(outer)
            _look_on(request, delivery)
            return
        with door.sink.guard(_Delivery.where):
            lookout = door.lookout(request.method, request.path, values)
            if lookout is not None:
                _look_on(request, lookout)

    async def judge(self, request: Request, response: HTTPResponse) -> None:
        """Record the answer. Only an error for account events may become a 200."""
        delivery = self._delivery(request)
        if delivery is not None:
            if delivery.becomes_200(getattr(response, "status", None)):
                response.status = 200
            if not delivery.is_handled:
                delivery.end()  # a middleware of the bot has answered, or no handler exists

    async def metrics(self, request: Request) -> HTTPResponse:
        """Answer with the metrics."""
        status, headers, body = await self._door.metrics(request.method, partial(_values, request.headers))
        kind = headers.pop("Content-Type")
        return responses.raw(body, status=status, headers=headers, content_type=kind)

    def _handler(self, bare: Callable[..., Any]) -> Callable[..., Any]:
        """Return a handler in which the contacts of the webhook are bound."""

        @wraps(bare)
        async def handler(request: Request, *args: Any, **kwargs: Any) -> Any:
            delivery = self._delivery(request)
            if delivery is None or delivery.is_handled:
                response = bare(request, *args, **kwargs)
                return await response if isawaitable(response) else response
            return await delivery.run(bare, request, *args, **kwargs)

        return handler

    def _delivery(self, request: Request) -> _Delivery | None:
        """Return this integration's delivery of a request, or None."""
        for delivery in getattr(request.ctx, "chatvitals", ()):
            if delivery.sink is self._door.sink and isinstance(delivery, _Delivery):
                return delivery
        return None


class _Delivery(HeaderDelivery, eq=False, kw_only=True):
    """One POST on the webhook path of a Sanic application."""

    is_handled: bool = False

    where = "sanic"

    async def run(self, handler: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call the bot's handler with the contacts of this webhook bound."""
        self.is_handled = True
        self.start()
        try:
            response = handler(*args, **kwargs)
            if isawaitable(response):
                response = await response
        except Exception as error:
            self.becomes_200(getattr(error, "status_code", None))
            raise
        else:
            self.becomes_200(getattr(response, "status", None))
            return response
        finally:
            self.end()


class _StreamWatch:
    """A request's stream that passes each piece to a delivery while a streaming handler reads it."""

    __slots__ = ("_bare", "_delivery")

    _bare: Any

    def __init__(self, bare: Any, delivery: _Delivery | Lookout) -> None:
        object.__setattr__(self, "_bare", bare)
        object.__setattr__(self, "_delivery", delivery)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._bare, name, value)

    def __bool__(self) -> bool:
        return bool(self._bare)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._bare:
            self._look(piece)
            yield piece
        self._look(b"")

    async def read(self) -> bytes | None:
        """Read a piece of the body. None is its end."""
        piece: bytes | None = await self._bare.read()
        self._look(piece)
        return piece

    def _look(self, piece: bytes | None) -> None:
        """Copy a piece. Sanic raises where the client has gone, so the last piece is really the last."""
        if self._delivery.is_copying:
            self._delivery.copy(piece or b"", last=not self._bare.request_body)


def _look_on(request: Any, delivery: _Delivery | Lookout) -> None:
    """Pass the body to a delivery, or each piece of it once a streaming handler reads it."""
    if getattr(request.stream, "request_body", None):
        request.stream = _StreamWatch(request.stream, delivery)
    else:
        delivery.copy(request.body or b"", last=True)


def _outer(request: Any) -> Any:
    """Return the mark of a middleware around Sanic on ASGI."""
    return request.scope.get(_http.SEEN) if request.app.asgi else None


def _values(headers: Any, name: str) -> list[str]:
    return list(headers.getall(name, ()))


def _serves(route: Any, path: str, method: str) -> bool:
    """Return whether a route answers a method on exactly this path."""
    return f"/{route.path}".rstrip("/") == path.rstrip("/") and method in route.methods
