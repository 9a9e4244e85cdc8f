"""Integration of aiohttp's server: a middleware that copies webhooks while the handler reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.streams import AsyncStreamIterator, ChunkTupleAsyncStreamIterator, EmptyStreamReader

from chatvitals.integrations import _arguments, _http, _paths
from chatvitals.integrations._doorway import Doorway, HeaderDelivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatvitals.integrations._lost_webhooks import Lookout
    from chatvitals.integrations.wsgi import MountableVitals

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["instrument", "middleware"]

# aiohttp warns about text keys, because it has its own keys.
_SEEN: Any = web.RequestKey("chatvitals", tuple) if hasattr(web, "RequestKey") else _http.SEEN


def middleware(vitals: MountableVitals, *, webhook_path: str = "/webhook", metrics_path: str | None = None) -> Any:
    """Return a middleware that watches the webhook. Put it first in the list.

        app = web.Application(middlewares=[middleware(vitals, metrics_path="/metrics")])

    `vitals.instrument_app(app)` does the same.

    Args:
        vitals: the result of `chatvitals.init`.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD, unless a route of the bot answers there.

    Raises:
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """
    door = Doorway(vitals, webhook_path, metrics_path)

    @web.middleware
    async def chatvitals_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = request.headers  # not the request, which refers to the delivery

        def values(name: str) -> list[str]:
            return list(headers.getall(name, ()))

        if door.serves(request.method, request.path) and not _is_answered(request):
            status, own, body = await door.metrics(request.method, values)
            return web.Response(status=status, headers=own, body=body)
        if not door.watches(request.method, request.path, request.get(_SEEN), values):
            with door.sink.guard(_Delivery.where):
                lookout = door.lookout(request.method, request.path, values)
                if lookout is not None:
                    _look_on(request, lookout)
            return await handler(request)
        return await _Delivery(door.sink, _values=values).run(request, handler)

    return chatvitals_middleware


def instrument(vitals: MountableVitals, app: web.Application, webhook_path: str, metrics_path: str | None) -> None:
    """Put the middleware before all others of an application. `vitals.instrument_app(app)` calls it.

    Args:
        vitals: the result of `chatvitals.init`.
        app: the application. It is changed in place.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Raises:
        RuntimeError: the application has started already, or is part of another one.
        ValueError: the application answers `metrics_path` itself.

    """
    if app.frozen:
        raise RuntimeError(_arguments.started_sentence())
    if app.pre_frozen:
        raise RuntimeError(
            "add_subapp has fixed the middlewares of this application: call instrument_app for the outer application, "
            "with the whole webhook_path, such as '/bots/webhook'"
        )
    if metrics_path is not None and _serves(app, metrics_path):
        raise ValueError(_arguments.taken_sentence(metrics_path))
    app.middlewares.insert(0, middleware(vitals, webhook_path=webhook_path, metrics_path=metrics_path))


class _Delivery(HeaderDelivery, eq=False):
    """One POST on the webhook path of an aiohttp application."""

    where = "aiohttp"

    async def run(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Call the handler with the contacts of this webhook bound."""
        self.start()
        with self._sink.guard(self.where):
            self._watch(request)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            self._judge(error)
            raise
        except Exception:
            if self._acknowledges and self._status is None:
                with self._sink.guard(self.where):
                    await self._acknowledge(request)
            raise
        else:
            self._judge(response)
            return response
        finally:
            self.end()

    def _watch(self, request: web.Request) -> None:
        """Mark the request as counted, and observe its body."""
        request[_SEEN] = self.within(request.get(_SEEN))
        _look_on(request, self)

    def _judge(self, response: Any) -> None:
        """Record the answer. Only an error for account events may become a 200."""
        status = getattr(response, "status", None)  # the result may not be a response, which aiohttp reports
        if self.becomes_200(status) and not response.prepared:
            response.set_status(200)

    async def _acknowledge(self, request: web.Request) -> None:
        """Answer in place of a handler that raised. aiohttp then logs the exception and sends nothing more."""
        self._status = 200
        response = web.Response()
        await response.prepare(request)
        await response.write_eof()


class BodyWatch:
    """A request's body that passes each piece to a delivery while the handler reads it."""

    def __init__(self, bare: Any, delivery: HeaderDelivery | Lookout) -> None:
        self._bare = bare
        self._delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)

    async def read(self, n: int = -1) -> bytes:
        """Read part of the body. -1 reads the rest."""
        return self._look(await self._bare.read(n), nothing_asked=n == 0)

    async def readany(self) -> bytes:
        """Read the available data."""
        return self._look(await self._bare.readany())

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read the available data, and whether an HTTP chunk ends."""
        piece, ends = await self._bare.readchunk()
        return self._look(piece, nothing_asked=ends), ends

    async def readexactly(self, n: int) -> bytes:
        """Read exactly `n` bytes."""
        return self._look(await self._bare.readexactly(n), nothing_asked=n == 0)

    async def readline(self, **limits: Any) -> bytes:
        """Read a line."""
        return self._look(await self._bare.readline(**limits))

    async def readuntil(self, *separator: Any, **more: Any) -> bytes:
        """Read up to a separator."""
        return self._look(await self._bare.readuntil(*separator, **more))

    def read_nowait(self, n: int = -1) -> bytes:
        """Read the available data without waiting."""
        return self._look(self._bare.read_nowait(n), nothing_asked=True)

    def unread_data(self, data: bytes) -> None:
        """Put bytes back. Copying ends, because they would be copied twice."""
        self._delivery.forget()
        self._bare.unread_data(data)

    def __aiter__(self) -> Any:
        return AsyncStreamIterator(self.readline)

    def iter_chunked(self, n: int) -> Any:
        """Iterate over pieces of a fixed size."""
        return AsyncStreamIterator(lambda: self.read(n))

    def iter_any(self) -> Any:
        """Iterate over pieces as they arrive."""
        return AsyncStreamIterator(self.readany)

    def iter_chunks(self) -> Any:
        """Iterate over pieces, each with whether an HTTP chunk ends."""
        return ChunkTupleAsyncStreamIterator(self)  # type: ignore[arg-type]  # it calls `readchunk` alone

    def _look(self, piece: bytes, *, nothing_asked: bool = False) -> bytes:
        """Copy a piece. An empty piece is the end of the body where data was requested."""
        if self._delivery.is_copying:
            ended = self._bare.at_eof() and self._bare.exception() is None
            self._delivery.copy(piece, last=ended or not (piece or nothing_asked))
        return piece


def _look_on(request: web.Request, delivery: HeaderDelivery | Lookout) -> None:
    """Pass each piece of a request's body to a delivery when it is read."""
    payload = request._payload  # noqa: SLF001 - the source of `read()`, `content`, `post()` and `multipart()`
    if isinstance(payload, EmptyStreamReader):
        delivery.copy(b"", last=True)
    else:
        request._payload = BodyWatch(payload, delivery)  # type: ignore[assignment]  # noqa: SLF001 - same methods


def _is_answered(request: web.Request) -> bool:
    """Return whether a route of the bot answers exactly this path. Catch-all routes do not count."""
    match = request.match_info
    return match.http_exception is None and not match


def _serves(app: web.Application, path: str) -> bool:
    """Return whether a route of the application answers GET on exactly this path, or is mounted above it."""
    spelled = _paths.spellings("metrics_path", path)
    for resource in app.router.resources():
        if resource.canonical in spelled and any(route.method in {"GET", "*"} for route in resource):
            return True
        prefix = resource.get_info().get("prefix")
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            return True
    return False
