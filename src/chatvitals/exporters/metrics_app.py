"""An ASGI app that serves the metrics."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from chatvitals.exporters.prometheus import allows, page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from concurrent.futures import ThreadPoolExecutor

    from chatvitals.exporters.prometheus import VitalsCollector
    from chatvitals.runtime.error_guard import ErrorGuard

    T = TypeVar("T")


class MetricsRequest(msgspec.Struct, frozen=True):
    """A request for the metrics. A missing header is the empty string.

        MetricsRequest("GET", accept="application/openmetrics-text")

    Args:
        method: the HTTP method.
        accept: the header `Accept`, which chooses text or OpenMetrics.
        authorization: the header `Authorization`, for `metrics_token`.
        accept_encoding: the header `Accept-Encoding`, which allows gzip.

    """

    method: str
    accept: str = ""
    authorization: str = ""
    accept_encoding: str = ""


def respond(
    collector: VitalsCollector, guard: ErrorGuard, token: str | None, request: MetricsRequest
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to a request for the metrics. It never raises."""
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    if not isinstance(request, MetricsRequest):
        sentence = f"metrics_response() takes a MetricsRequest, not {type(request).__name__!r}."
        guard.mistake("metrics", sentence)
        return 500, plain, f"{sentence}\n".encode()
    if request.method not in {"GET", "HEAD"}:
        return 405, {**plain, "Allow": "GET, HEAD"}, b"method not allowed\n"
    if not allows(token, [request.authorization.encode("latin-1", "replace")]):
        return 401, {**plain, "WWW-Authenticate": "Bearer"}, b"unauthorized\n"
    try:
        answer = page(collector, request.accept, request.accept_encoding)
    except Exception as error:  # noqa: BLE001 - a scrape must not raise into the bot's server
        guard.report("metrics", error)
        return 500, plain, b"chatvitals could not render its metrics. See the log\n"
    return 200, dict(answer.headers), answer.body


class MetricsApp:
    """An ASGI app that serves the collector. Rendering runs on its own thread, not on the bot's event loop.

    Below its path, `/-/healthy` and `/-/ready` answer probes. `/-/ready` answers 503 while the store cannot be read.
    """

    def __init__(self, collector: VitalsCollector, guard: ErrorGuard, token: str | None) -> None:
        self._collector = collector
        self._guard = guard
        self._token = token
        self._executor: tuple[int, ThreadPoolExecutor] | None = None  # with the id of its process

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer GET and HEAD. Other methods get 405, a wrong token gets 401, and a websocket is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            raise ValueError(f"chatvitals metrics answers http, not {scope['type']}")
        status, headers, body = await self._answer(scope)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: MutableMapping[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers: list[tuple[bytes, bytes]] = list(scope.get("headers") or ())
        plain = (b"content-type", b"text/plain; charset=utf-8")
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, [plain, (b"allow", b"GET, HEAD")], b"method not allowed\n"
        path = scope.get("path", "")
        if path.endswith("/-/healthy"):
            return 200, [plain], b"healthy\n"
        if path.endswith("/-/ready"):  # without a token, because probes have none and the answer holds no numbers
            ready = await self._aside(self._collector.ready)
            return (200, [plain], b"ready\n") if ready else (503, [plain], b"the store cannot be read\n")
        if not allows(self._token, _values(headers, b"authorization")):
            return 401, [plain, (b"www-authenticate", b"Bearer")], b"unauthorized\n"
        accept, encoding = [
            b",".join(_values(headers, name)).decode("latin-1") for name in (b"accept", b"accept-encoding")
        ]
        try:
            answer = await self._aside(partial(page, self._collector, accept, encoding))
        except Exception as error:  # noqa: BLE001 - a scrape must not raise into the bot's server
            self._guard.report("metrics", error)
            return 500, [plain], b"chatvitals could not render its metrics. See the log\n"
        return 200, [(name.lower().encode(), value.encode()) for name, value in answer.headers], answer.body

    async def _aside(self, call: Callable[[], T]) -> T:
        """Return a call's result, computed on our thread."""
        import asyncio  # noqa: PLC0415 - a bot on threads needs none of it

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # with trio, the call is short enough to run here
            return call()
        return await loop.run_in_executor(self._own_executor(), call)

    def _own_executor(self) -> ThreadPoolExecutor:
        from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - as above

        if self._executor is None or self._executor[0] != os.getpid():
            self._executor = (os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="chatvitals-metrics"))
        return self._executor[1]


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
