"""The door of aiohttp's server: a middleware that copies webhooks as the handler itself reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.streams import AsyncStreamIterator, ChunkTupleAsyncStreamIterator, EmptyStreamReader

from chatvitals.integrations import _http
from chatvitals.integrations._doorway import Doorway, HeaderDelivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chatvitals.integrations.lost_webhooks import Lookout
    from chatvitals.integrations.wsgi import MountableVitals

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# aiohttp warns about keys that are text, since it has keys of its own.
_SEEN: Any = web.RequestKey("chatvitals", tuple) if hasattr(web, "RequestKey") else _http.SEEN


def middleware(vitals: MountableVitals, *, webhook_path: str = "/webhook", metrics_path: str | None = None) -> Any:
    """Return a middleware that watches the webhook; put it first in the list.

        app = web.Application(middlewares=[middleware(vitals, metrics_path="/metrics")])

    `vitals.instrument_app(app)` does the same.

    Args:
        vitals: What `chatvitals.init` returned.
        webhook_path: The path that WhatsApp posts to.
        metrics_path: Where to serve the metrics, for GET and HEAD, unless a route of the bot answers there.

    Raises:
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """
    door = Doorway(vitals, webhook_path, metrics_path)

    @web.middleware
    async def chatvitals_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        def values(name: str) -> list[str]:
            return list(request.headers.getall(name, ()))

        if door.serves(request.method, request.path) and not _is_answered(request):
            status, headers, body = await door.metrics(request.method, values)
            return web.Response(status=status, headers=headers, body=body)
        if not door.watches(request.method, request.path, request.get(_SEEN)):
            with door.sink.guard(_Delivery.where):
                lookout = door.lookout(request.method, request.path, values)
                if lookout is not None:
                    _look_on(request, lookout)
            return await handler(request)
        return await _Delivery(door.sink, values).run(request, handler)

    return chatvitals_middleware


def instrument(vitals: MountableVitals, app: web.Application, webhook_path: str, metrics_path: str | None) -> None:
    """Put the middleware before all others of an application.

    Raises:
        RuntimeError: the application has started already.
        ValueError: the application answers `metrics_path` itself.

    """
    if app.frozen:
        raise RuntimeError(_http.started_sentence())
    if metrics_path is not None and _serves(app, metrics_path):
        raise ValueError(_http.taken_sentence(metrics_path))
    app.middlewares.insert(0, middleware(vitals, webhook_path=webhook_path, metrics_path=metrics_path))


class _Delivery(HeaderDelivery):
    """One POST on the webhook path of an aiohttp application."""

    __slots__ = ()

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
        """Mark the request as counted, and look on as its body is read."""
        request[_SEEN] = (*request.get(_SEEN, ()), self._sink)
        _look_on(request, self)

    def _judge(self, response: Any) -> None:
        """Note the answer; only an error about account events may become a 200."""
        status = getattr(response, "status", None)  # a handler may return nonsense, about which aiohttp complains
        if self.becomes_200(status) and not response.prepared:
            response.set_status(200)

    async def _acknowledge(self, request: web.Request) -> None:
        """Answer in place of a handler that raised; aiohttp then logs the exception and sends nothing more."""
        self._status = 200
        response = web.Response()
        await response.prepare(request)
        await response.write_eof()


class BodyWatch:
    """A request's body as the handler reads it, with a look at each piece."""

    def __init__(self, bare: Any, delivery: HeaderDelivery | Lookout) -> None:
        self._bare = bare
        self._delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)

    async def read(self, n: int = -1) -> bytes:
        """Read some of the body; -1 reads the rest."""
        return self._look(await self._bare.read(n), nothing_asked=n == 0)

    async def readany(self) -> bytes:
        """Read what is there."""
        return self._look(await self._bare.readany())

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read what is there, with whether a chunk of HTTP ends."""
        piece, ends = await self._bare.readchunk()
        return self._look(piece, nothing_asked=ends), ends

    async def readexactly(self, n: int) -> bytes:
        """Read so many bytes."""
        return self._look(await self._bare.readexactly(n), nothing_asked=n == 0)

    async def readline(self, **limits: Any) -> bytes:
        """Read a line."""
        return self._look(await self._bare.readline(**limits))

    async def readuntil(self, *separator: Any, **more: Any) -> bytes:
        """Read up to a separator."""
        return self._look(await self._bare.readuntil(*separator, **more))

    def read_nowait(self, n: int = -1) -> bytes:
        """Read what is there, without waiting."""
        return self._look(self._bare.read_nowait(n), nothing_asked=True)

    def unread_data(self, data: bytes) -> None:
        """Give bytes back; they would be copied twice, so the copy is given up."""
        self._delivery.forget()
        self._bare.unread_data(data)

    def __aiter__(self) -> Any:
        return AsyncStreamIterator(self.readline)

    def iter_chunked(self, n: int) -> Any:
        """Iterate over pieces of a size."""
        return AsyncStreamIterator(lambda: self.read(n))

    def iter_any(self) -> Any:
        """Iterate over pieces as they come."""
        return AsyncStreamIterator(self.readany)

    def iter_chunks(self) -> Any:
        """Iterate over pieces, with whether a chunk of HTTP ends."""
        return ChunkTupleAsyncStreamIterator(self)  # type: ignore[arg-type]  # it calls `readchunk` alone

    def _look(self, piece: bytes, *, nothing_asked: bool = False) -> bytes:
        """Copy a piece; an empty one is the end where something was asked for."""
        if self._delivery.is_copying:
            ended = self._bare.at_eof() and self._bare.exception() is None
            self._delivery.copy(piece, last=ended or not (piece or nothing_asked))
        return piece


def _look_on(request: web.Request, delivery: HeaderDelivery | Lookout) -> None:
    """Have each piece of a request's body looked at as it is read."""
    payload = request._payload  # noqa: SLF001 - what `read()`, `content`, `post()` and `multipart()` read from
    if isinstance(payload, EmptyStreamReader):
        delivery.copy(b"", last=True)
    else:
        request._payload = BodyWatch(payload, delivery)  # type: ignore[assignment]  # noqa: SLF001 - it acts like one


def _is_answered(request: web.Request) -> bool:
    """Return whether a route of the bot answers exactly this path; a catch-all answers everything."""
    match = request.match_info
    return match.http_exception is None and not match


def _serves(app: web.Application, path: str) -> bool:
    """Return whether a route of the application answers GET on exactly this path, or is mounted above it."""
    spelled = _http.spellings("metrics_path", path)
    for resource in app.router.resources():
        if resource.canonical in spelled and any(route.method in {"GET", "*"} for route in resource):
            return True
        prefix = resource.get_info().get("prefix")
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            return True
    return False
