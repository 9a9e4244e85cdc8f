"""An ASGI app that serves the metrics."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from chatvitals.exporters.prometheus import allows, page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from chatvitals.exporters.prometheus import VitalsCollector
    from chatvitals.runtime.error_guard import ErrorGuard


class MetricsRequest(NamedTuple):
    """A request for the metrics; a header that is missing is the empty string."""

    method: str
    accept: str = ""
    authorization: str = ""
    accept_encoding: str = ""


def respond(
    collector: VitalsCollector, guard: ErrorGuard, token: str | None, request: MetricsRequest
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the answer to a request for the metrics; never raises."""
    plain = {"Content-Type": "text/plain; charset=utf-8"}
    if request.method not in {"GET", "HEAD"}:
        return 405, {**plain, "Allow": "GET, HEAD"}, b"method not allowed\n"
    if not allows(token, [request.authorization.encode("latin-1", "replace")]):
        return 401, {**plain, "WWW-Authenticate": "Bearer"}, b"unauthorized\n"
    try:
        answer = page(collector, request.accept, request.accept_encoding)
    except Exception as error:  # noqa: BLE001 - a scrape must not raise into the bot's server
        guard.report("metrics", error)
        return 500, plain, b"chatvitals could not render its metrics; see the log\n"
    return 200, dict(answer.headers), answer.body


class MetricsApp:
    """An ASGI app that serves the collector; rendering runs on a thread of its own, not on the bot's event loop."""

    def __init__(self, collector: VitalsCollector, guard: ErrorGuard, token: str | None) -> None:
        self._collector = collector
        self._guard = guard
        self._token = token
        self._executor: tuple[int, ThreadPoolExecutor] | None = None  # with the process that it belongs to

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer GET and HEAD; anything else gets 405, a wrong token 401 without a hint, a websocket is closed."""
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
        if not allows(self._token, _values(headers, b"authorization")):
            return 401, [plain, (b"www-authenticate", b"Bearer")], b"unauthorized\n"
        accept, encoding = [
            b",".join(_values(headers, name)).decode("latin-1") for name in (b"accept", b"accept-encoding")
        ]
        try:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # trio: rendering is short enough to be done here
                answer = page(self._collector, accept, encoding)
            else:
                answer = await loop.run_in_executor(self._own_executor(), page, self._collector, accept, encoding)
        except Exception as error:  # noqa: BLE001 - a scrape must not raise into the bot's server
            self._guard.report("metrics", error)
            return 500, [plain], b"chatvitals could not render its metrics; see the log\n"
        return 200, [(name.lower().encode(), value.encode()) for name, value in answer.headers], answer.body

    def _own_executor(self) -> ThreadPoolExecutor:
        if self._executor is None or self._executor[0] != os.getpid():
            self._executor = (os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="chatvitals-metrics"))
        return self._executor[1]


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
