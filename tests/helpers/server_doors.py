"""The bot of `doors.py` on servers without WSGI and ASGI. Each call starts the real server on loopback."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

import sanic
from aiohttp import web
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from chatvitals.integrations._frameworks import instrument_app
from tests.helpers import services
from tests.helpers.doors import Outcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tests.conftest import DoorVitals
    from tests.helpers.doors import Handle

    Stop = Callable[[], Awaitable[object]]

_serials = itertools.count()
_MOVING = {"date", "server", "keep-alive"}  # headers that say something about the moment or the server


class ServerDoor:
    """The common part of the doors of these servers."""

    where = ""
    reads_itself = True
    """Whether the framework reads the body before the bot asks."""

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""
        raise NotImplementedError

    async def serve(self, app: Any, port: int) -> Stop:
        """Start the server. Gives what stops it."""
        raise NotImplementedError

    def listening(self, app: Any, met: Callable[[BaseException], object]) -> Any:
        """Return the application with an ear, further out than the door, for what its handler raises."""
        raise NotImplementedError

    def wrap(self, app: Any, vitals: DoorVitals, **more: Any) -> Any:
        """Return the application, watched."""
        return instrument_app(vitals, app, **more)

    def call(
        self, app: Any, chunks: Iterable[bytes], *, method: str = "POST", path: str = "/webhook", **headers: str
    ) -> Outcome:
        """Send a request over a socket. Header names are written with underscores."""
        pieces = list(chunks)
        lines = [f"{method} {path} HTTP/1.1", "Host: bot.example", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if name != "content_length"]
        lines += [f"Content-Length: {sum(map(len, pieces))}"]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return asyncio.run(self._exchange(app, [head, *pieces]))

    async def _exchange(self, app: Any, pieces: list[bytes]) -> Outcome:
        port = services.free_port()
        stop = await self.serve(app, port)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
        finally:
            await stop()
        return _read(answer)


class AiohttpDoor(ServerDoor):
    """The door of aiohttp's server."""

    where = "aiohttp"
    reads_itself = False

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""

        async def webhook(request: web.Request) -> web.StreamResponse:
            answer = handle(await request.read() if read else b"")
            response = web.StreamResponse(status=answer.status, headers={"x-bot": "1"})
            if len(answer.pieces) == 1 and answer.error_after is None:
                return web.Response(status=answer.status, headers={"x-bot": "1"}, body=answer.pieces[0])
            await response.prepare(request)
            if answer.error_after is not None:
                raise answer.error_after
            for piece in answer.pieces:
                await response.write(piece)
            await response.write_eof()
            return response

        app = web.Application()
        app.router.add_route("*", "/{path:webhooks?}", webhook)
        return app

    def listening(self, app: Any, met: Callable[[BaseException], object]) -> Any:
        """Return the application with a middleware that looks at what passes."""

        @web.middleware
        async def look(request: web.Request, handler: Any) -> Any:
            try:
                return await handler(request)
            except Exception as error:
                met(error)
                raise

        app.middlewares.insert(0, look)
        return app

    async def serve(self, app: Any, port: int) -> Stop:
        """Start the server. Gives what stops it."""
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return runner.cleanup


class TornadoDoor(ServerDoor):
    """The door of Tornado's server."""

    where = "tornado"

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""

        class Webhook(RequestHandler):  # type: ignore[misc]  # Tornado need not be there when types are checked
            async def post(self, path: str) -> None:
                answer = handle(self.request.body if read else b"")
                self.set_status(answer.status)
                self.set_header("x-bot", "1")
                if answer.error_after is not None:
                    await self.flush()
                    raise answer.error_after
                for piece in answer.pieces:
                    self.write(piece)
                    await self.flush()

            get = put = head = options = post

        return Application([("/(webhooks?)", Webhook)])

    def listening(self, app: Any, met: Callable[[BaseException], object]) -> Any:
        """Return the application, whose handlers log exceptions through a method of theirs."""
        handler = app.wildcard_router.rules[0].target
        handler.log_exception = lambda _, _kind, error, _traceback: met(error)
        return app

    async def serve(self, app: Any, port: int) -> Stop:
        """Start the server. Gives what stops it."""
        server = HTTPServer(app)
        server.listen(port, "127.0.0.1")

        async def stop() -> None:
            server.stop()
            await server.close_all_connections()

        return stop


class SanicDoor(ServerDoor):
    """The door of Sanic's own server."""

    where = "sanic"

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""
        sanic.Sanic.test_mode = True  # else one process can start one application only
        app = sanic.Sanic(f"bot{next(_serials)}")
        app.config.MOTD = False
        app.config.FALLBACK_ERROR_FORMAT = "text"

        async def webhook(request: Any, path: str = "") -> Any:
            answer = handle(request.body if read else b"")
            response = await request.respond(status=answer.status, headers={"x-bot": "1"})
            if answer.error_after is not None:
                await response.send(b"")
                raise answer.error_after
            for piece in answer.pieces:
                await response.send(piece)
            await response.eof()

        for number, path in enumerate(("/webhook", "/webhooks")):
            methods = ["GET", "POST", "PUT", "HEAD", "OPTIONS"]
            app.add_route(webhook, path, methods=methods, name=f"webhook{number}")
        return app

    def listening(self, app: Any, met: Callable[[BaseException], object]) -> Any:
        """Return the application with Sanic's own signal for exceptions."""

        async def look(exception: BaseException, **_: Any) -> None:
            met(exception)

        app.add_signal(look, "http.lifecycle.exception")
        return app

    async def serve(self, app: Any, port: int) -> Stop:
        """Start the server. Gives what stops it."""
        server = await app.create_server(host="127.0.0.1", port=port, return_asyncio_server=True, access_log=False)
        await server.startup()
        await server.before_start()
        await server.after_start()

        async def stop() -> None:
            server.close()
            await server.wait_closed()

        return stop


SERVER_DOORS: dict[str, ServerDoor] = {"aiohttp": AiohttpDoor(), "tornado": TornadoDoor(), "sanic": SanicDoor()}


def _read(answer: bytes) -> Outcome:
    """Return the bytes that a server sent."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    kept = [(name, value) for name, value in headers if name.lower() not in _MOVING]
    chunked = any(name.lower() == "transfer-encoding" for name, _ in headers)
    seen = Outcome(int(status.split()[1]) if status else None, kept)
    seen.pieces = list(_chunks(body)) if chunked else [body] if body else []
    return seen


def _chunks(body: bytes) -> Iterable[bytes]:
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        if length:
            yield rest[:length]
        body = rest[length + 2 :]
