"""One bot behind any door: it reads a body, and answers, raises or streams as a test says."""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.aws_lambda import lambda_handler
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.tracking.observation import observe
from chatvitals.tracking.refusals import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.conftest import DoorVitals

    Handle = Callable[[bytes], "Answer"]


@dataclass
class Answer:
    """The answer of a bot."""

    status: int = 200
    pieces: Sequence[bytes] = (b"ok",)
    error_after: BaseException | None = None
    """Raised after the response has started."""


@dataclass
class Outcome:
    """The answer as the server saw it."""

    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    error: BaseException | None = None


class AsgiDoor:
    """The ASGI door."""

    where = "asgi"
    reads_itself = False
    """Whether the framework reads the body before the bot asks."""

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""

        async def app(scope: Any, receive: Any, send: Any) -> None:
            body, more = b"", read
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            answer = handle(body)
            await send({"type": "http.response.start", "status": answer.status, "headers": [(b"x-bot", b"1")]})
            if answer.error_after is not None:
                raise answer.error_after
            for piece in answer.pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        return app

    def wrap(self, app: Any, vitals: DoorVitals, **more: Any) -> Any:
        """Return the application with the door around it."""
        return ChatVitalsMiddleware(app, vitals, **more)

    def call(
        self, app: Any, chunks: Iterable[bytes], *, method: str = "POST", path: str = "/webhook", **headers: str
    ) -> Outcome:
        """Send a request as a server does. Header names are written with underscores."""
        seen = Outcome()
        left = list(chunks)
        total = len(left)
        names = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]

        async def receive() -> Any:
            if not left:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                seen.headers = [(k.decode(), v.decode()) for k, v in message["headers"]]
            elif message["body"]:
                seen.pieces.append(message["body"])

        scope = {"type": "http", "method": method, "path": path, "headers": names, "root_path": ""}
        try:
            asyncio.run(app(scope, receive, send))
        except BaseException as error:  # noqa: BLE001 - whatever comes out is what a test looks at
            seen.error = error
        assert total >= len(left)
        return seen


class WsgiDoor:
    """The WSGI door."""

    where = "wsgi"
    reads_itself = False

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as an application."""

        def app(environ: Any, start_response: Any) -> Any:
            body = environ["wsgi.input"].read() if read else b""
            answer = handle(body)
            start_response(f"{answer.status} Whatever", [("x-bot", "1")])
            if answer.error_after is not None:
                raise answer.error_after
            return list(answer.pieces)

        return app

    def wrap(self, app: Any, vitals: DoorVitals, **more: Any) -> Any:
        """Return the application with the door around it."""
        return ChatVitalsWSGIMiddleware(app, vitals, **more)

    def call(
        self, app: Any, chunks: Iterable[bytes], *, method: str = "POST", path: str = "/webhook", **headers: str
    ) -> Outcome:
        """Send a request as a server does. Header names are written with underscores."""
        seen = Outcome()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "wsgi.input": io.BytesIO(b"".join(chunks)),
            **{("" if name == "content_length" else "HTTP_") + name.upper(): value for name, value in headers.items()},
        }

        def start_response(status: str, given: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.status, seen.headers = int(status[:3]), given
            return seen.pieces.append

        try:
            response = app(environ, start_response)
            try:
                seen.pieces += [piece for piece in response if piece]
            finally:
                if hasattr(response, "close"):
                    response.close()
        except BaseException as error:  # noqa: BLE001 - as above
            seen.error = error
        return seen


DOORS: dict[str, AsgiDoor | WsgiDoor] = {"asgi": AsgiDoor(), "wsgi": WsgiDoor()}


class LambdaDoor:
    """The door of AWS Lambda. A gateway hands over the whole body, and gets the whole answer."""

    where = "observe_webhook"
    reads_itself = True

    def app(self, handle: Handle, *, read: bool = True) -> Any:
        """Return the bot as a function."""

        def app(event: Any, _: Any) -> Any:
            answer = handle(base64.b64decode(event["body"]) if read else b"")
            if answer.error_after is not None:
                raise answer.error_after
            text = b"".join(answer.pieces).decode("latin-1")
            return {"statusCode": answer.status, "headers": {"x-bot": "1"}, "body": text}

        return app

    def wrap(self, app: Any, vitals: DoorVitals) -> Any:
        """Return the function with the door around it."""
        return lambda_handler(vitals, app, "/webhook")

    def call(
        self, app: Any, chunks: Iterable[bytes], *, method: str = "POST", path: str = "/webhook", **headers: str
    ) -> Outcome:
        """Send a request as a gateway does. Header names are written with underscores."""
        seen = Outcome()
        event = {
            "httpMethod": method,
            "path": path,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "body": base64.b64encode(b"".join(chunks)).decode(),
            "isBase64Encoded": True,
        }
        try:
            result = app(event, None)
        except BaseException as error:  # noqa: BLE001 - as above
            seen.error = error
        else:
            seen.status, seen.headers = result["statusCode"], list(result["headers"].items())
            seen.pieces = [result["body"].encode("latin-1")]
        return seen


class ObservedDoor(LambdaDoor):
    """A bot on a server of its own that hands each webhook to `observe_webhook` and says what it refuses."""

    def wrap(self, app: Any, vitals: DoorVitals) -> Any:
        """Return the bot that observes its webhooks."""

        def observed(event: Any, _: Any) -> Any:
            if (event["httpMethod"], event["path"]) != ("POST", "/webhook"):
                return app(event, _)
            with observe(vitals.webhook_sink, base64.b64decode(event["body"]), event["headers"]) as webhook:
                answer = app(event, _)
                if answer["statusCode"] in STATUSES:
                    webhook.reject()
                return answer

        return observed


IN_HANDS: dict[str, LambdaDoor] = {"aws_lambda": LambdaDoor(), "observe_webhook": ObservedDoor()}
"""Doors that get a webhook as a whole."""
