"""The door of ASGI applications: webhooks are copied as the application itself reads them, never read for it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from chatvitals import context
from chatvitals.events import AccountEvent, Webhook
from chatvitals.runtime.error_guard import logger
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    from chatvitals.pipeline.raw_webhook import RawWebhook
    from chatvitals.pipeline.webhook_sink import WebhookSink

    Scope: TypeAlias = MutableMapping[str, Any]
    Message: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[Message]]
    Send: TypeAlias = Callable[[Message], Awaitable[None]]
    ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

App = TypeVar("App")

_SEEN = "chatvitals"  # the scope's key for the sinks that already count this request
_REJECTIONS = (401, 403, 404, 405)  # design decision 8: answers by which an application disowns a webhook


class DoorVitals(Protocol):
    """What a door needs of `Vitals`."""

    @property
    def webhook_sink(self) -> WebhookSink:
        """Where webhooks go."""


class MountableVitals(DoorVitals, Protocol):
    """What `instrument_app` needs of `Vitals`."""

    def metrics_app(self) -> ASGIApp:
        """Return the application that serves `/metrics`."""


class ChatVitalsMiddleware:
    """Watch the webhook of an ASGI application; whatever else passes through is left alone.

    Args:
        app: The ASGI application of the bot.
        vitals: What `chatvitals.init` returned.
        webhook_path: The path that WhatsApp posts to, within this application or in full.

    Raises:
        ValueError: `webhook_path` is not a fixed path that starts with `/`.

    """

    def __init__(self, app: ASGIApp, vitals: DoorVitals, *, webhook_path: str = "/webhook") -> None:
        self.app = app
        self._sink = vitals.webhook_sink
        self._paths = _spellings("webhook_path", webhook_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and watch it if it is a webhook."""
        if scope.get("type") != "http" or scope.get("method") != "POST" or not self._is_webhook(scope):
            await self.app(scope, receive, send)
            return
        await _Delivery(self._sink, scope, receive, send).run(self.app)

    def _is_webhook(self, scope: Scope) -> bool:
        """Return whether this is our path and nobody further out counts it for the same sink.

        Servers and frameworks disagree on whether `path` contains `root_path`, so both readings are tried.
        """
        path = scope.get("path")
        if path not in self._paths:
            root = scope.get("root_path")
            if not root or not isinstance(root, str) or not isinstance(path, str):
                return False
            root = root.rstrip("/")
            if path.removeprefix(root) not in self._paths and root + path not in self._paths:
                return False
        seen = scope.get(_SEEN)
        return not isinstance(seen, tuple) or all(sink is not self._sink for sink in seen)


def instrument_app(
    vitals: MountableVitals, app: App, *, webhook_path: str = "/webhook", metrics_path: str | None = None
) -> App:
    """Watch the webhook of a Starlette or FastAPI application, before it starts, and serve `/metrics` if asked.

    Args:
        vitals: What `chatvitals.init` returned.
        app: The application; it is changed in place. Calling this twice counts nothing twice.
        webhook_path: The path that WhatsApp posts to.
        metrics_path: Where to serve the metrics, for GET and HEAD; None serves them nowhere.

    Returns:
        The application that was given.

    Raises:
        TypeError: `app` is neither Starlette nor FastAPI.
        RuntimeError: the application has started already.
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """
    paths = _spellings("webhook_path", webhook_path)
    if metrics_path is not None and set(paths) & set(_spellings("metrics_path", metrics_path)):
        raise ValueError(f"metrics_path must differ from webhook_path, both are {metrics_path!r}: choose another one")
    applications: Any = sys.modules.get("starlette.applications")  # an app of it cannot exist before its import
    if applications is None or not isinstance(app, applications.Starlette):
        raise TypeError(
            f"instrument_app takes a Starlette or FastAPI application, not {type(app).__name__!r}: wrap any other "
            "ASGI application as ChatVitalsMiddleware(app, vitals), or call vitals.observe_webhook(body, headers) "
            "in the handler"
        )
    starlette: Any = app
    if starlette.middleware_stack is not None:
        raise RuntimeError(
            "instrument_app was called after the application had started, when its middleware is fixed: "
            "call it at the place where the application is created, not in a start-up handler or a request"
        )
    if not any(_watches(middleware, vitals, paths) for middleware in starlette.user_middleware):
        starlette.add_middleware(ChatVitalsMiddleware, vitals=vitals, webhook_path=webhook_path)
    if metrics_path is not None and not any(_serves(r, vitals, metrics_path) for r in starlette.router.routes):
        with vitals.webhook_sink.guard("asgi"):
            _serve_metrics(vitals, starlette, metrics_path)
    return app


class _Delivery:
    """One POST on the webhook path, while the application handles it.

    Each `except` here is the guard's fence without a context manager, whose calls cost as much as what they protect.
    """

    __slots__ = (
        "_acknowledges",
        "_chunks",
        "_handling",
        "_receive",
        "_scope",
        "_send",
        "_sink",
        "_size",
        "_status",
        "_unread",
    )

    def __init__(self, sink: WebhookSink, scope: Scope, receive: Receive, send: Send) -> None:
        self._sink = sink
        self._scope = scope
        self._receive = receive
        self._send = send
        self._handling = context.Handling()
        self._chunks: list[bytes] | None = []  # None once nothing more is to be copied
        self._size = 0
        self._unread: RawWebhook | None = None  # taken in, and not yet emitted
        self._status: object = None  # of the response, once it has started
        self._acknowledges = False  # an error of the application becomes 200: a setting, for account events alone

    async def run(self, app: ASGIApp) -> None:
        """Call the application with the contacts of this webhook bound and the request marked as counted.

        The mark is set in place: a copy of the scope would hide from middleware further out what the router
        writes into it, such as the route.
        """
        scope = self._scope
        outer = scope.get(_SEEN)
        token = None
        try:
            token = context.bind(self._handling)
            scope[_SEEN] = (*outer, self._sink) if isinstance(outer, tuple) else (self._sink,)
        except Exception as error:  # noqa: BLE001 - the fence
            self._sink.guard.report("asgi", error)
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._acknowledges and self._status is None:
                with self._sink.guard("asgi"):
                    await self._acknowledge()
            raise
        finally:
            try:
                if self._unread is not None:
                    self._emit()
            except Exception as error:  # noqa: BLE001 - the fence
                self._sink.guard.report("asgi", error)
            try:
                if token is not None:
                    context.unbind(token)
                if outer is None:
                    scope.pop(_SEEN, None)
                else:
                    scope[_SEEN] = outer
            except Exception as error:  # noqa: BLE001 - the fence
                self._sink.guard.report("asgi", error)

    async def receive(self) -> Message:
        """Return the server's next message as it is, after a look at it."""
        message = await self._receive()
        if self._chunks is not None:
            try:
                self._look(message)
            except Exception as error:  # noqa: BLE001 - the fence
                self._chunks = None
                self._sink.guard.report("asgi", error)
        return message

    def send(self, message: Message) -> Awaitable[None]:
        """Send the application's message as it is; the start of the response is the acknowledgement.

        Only where `acknowledge_account_events` says so, an error about account events goes out with the status 200.
        What is awaited is the server's own: a coroutine between would cost as much as the look at the message.
        """
        if self._status is None:
            try:
                if message.get("type") == "http.response.start":
                    self._status = status = message.get("status")
                    self._emit()
                    if self._acknowledges and isinstance(status, int) and status >= 400:
                        message = {**message, "status": 200}
            except Exception as error:  # noqa: BLE001 - the fence
                self._sink.guard.report("asgi", error)
        return self._send(message)

    async def _acknowledge(self) -> None:
        """Answer in place of an application that raised; its server then sees the exception and sends nothing more."""
        await self.send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await self.send({"type": "http.response.body", "body": b""})

    def _look(self, message: Message) -> None:
        """Copy a piece of the body; with the last one the webhook is taken in, before the application has it."""
        kind = message.get("type")
        if kind == "http.disconnect":
            self._chunks = None
        if kind != "http.request" or self._chunks is None:
            return
        body = message.get("body") or b""
        more = bool(message.get("more_body"))
        most = self._sink.settings.max_body
        self._size += len(body)
        # A declared length saves holding megabytes that will be dropped.
        if self._size > most or (more and not self._chunks and _declared(self._scope.get("headers")) > most):
            self._chunks = None
            self._sink.emit(Webhook(result="oversize", received=self._sink.clock()))
            return
        self._chunks.append(bytes(body))
        if not more:
            whole = b"".join(self._chunks)
            self._chunks = None
            self._take(whole)

    def _take(self, body: bytes) -> None:
        """Take in the webhook; without an app secret its emission waits for the application's verdict."""
        settings = self._sink.settings
        unread = self._sink.receive(body, _signature(self._scope.get("headers")))
        self._unread = self._handling.source = unread
        if settings.acknowledge_account_events:
            self._acknowledges = _about_account_only(unread.webhook)
        if settings.app_secret or self._status is not None:
            self._emit()

    def _emit(self) -> None:
        """Emit the webhook once, as rejected where only the application could tell and did so.

        An application that raises before it answers has not rejected anything: its server says 500.
        """
        unread, self._unread = self._unread, None
        if unread is not None:
            unread.rejected = self._status in _REJECTIONS and not self._sink.settings.app_secret
            self._sink.emit(unread)


def _about_account_only(webhook: Webhook) -> bool:
    """Return whether a webhook can be read whole and concerns no person: nothing is lost when it is not repeated."""
    return (
        webhook.result == "accepted"
        and not webhook.malformed
        and bool(webhook.events)
        and all(type(event) is AccountEvent for event in webhook.events)
        and all(field in enums.BUSINESS_FIELDS for field, _ in webhook.fields)
    )


class _Metrics:
    """The metrics application as an object, since Starlette takes a function for a handler of requests."""

    __slots__ = ("app", "vitals")

    def __init__(self, vitals: MountableVitals) -> None:
        self.vitals = vitals
        self.app = vitals.metrics_app()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def _serve_metrics(vitals: MountableVitals, app: Any, path: str) -> None:
    """Insert the route before all others, where no catch-all hides it."""
    from starlette.routing import Route  # noqa: PLC0415 - the middleware works without Starlette

    endpoint = _Metrics(vitals)
    route = Route(path, endpoint, methods=["GET", "HEAD"], name="chatvitals_metrics", include_in_schema=False)
    app.router.routes.insert(0, route)
    if vitals.webhook_sink.settings.metrics_token is None:
        logger.warning(
            "chatvitals: %s is open to everyone who can reach the webhook. "
            "Set metrics_token (or CHATVITALS_METRICS_TOKEN) to ask for a bearer token.",
            path,
        )


def _watches(middleware: Any, vitals: DoorVitals, paths: tuple[str, str]) -> bool:
    """Return whether this entry of a middleware list is ours, for the same vitals and path."""
    if middleware.cls is not ChatVitalsMiddleware or middleware.kwargs.get("vitals") is not vitals:
        return False
    return paths == _spellings("webhook_path", middleware.kwargs.get("webhook_path", "/webhook"))


def _serves(route: object, vitals: MountableVitals, path: str) -> bool:
    """Return whether this route already serves the metrics of `vitals` at `path`."""
    endpoint = getattr(route, "endpoint", None)
    return isinstance(endpoint, _Metrics) and endpoint.vitals is vitals and getattr(route, "path", None) == path


def _spellings(name: str, path: str) -> tuple[str, str]:
    """Return `path` without and with a slash at its end."""
    if not isinstance(path, str) or not path.startswith("/") or "{" in path:
        raise ValueError(f"{name} must be a fixed path that starts with '/', such as '/webhook', not {path!r}")
    bare = path.rstrip("/")
    return bare, f"{bare}/"


def _values(headers: Iterable[tuple[bytes, bytes]] | None, name: bytes) -> list[bytes]:
    length = len(name)  # comparing lengths first spares most names their lowering
    return [value for key, value in headers or () if len(key) == length and key.lower() == name]


def _signature(headers: Iterable[tuple[bytes, bytes]] | None) -> str | None:
    """Return the signature header; several are joined as HTTP joins them, so that none of them passes."""
    values = _values(headers, b"x-hub-signature-256")
    return b", ".join(values).decode("latin-1") if values else None


def _declared(headers: Iterable[tuple[bytes, bytes]] | None) -> int:
    """Return the declared length of the body in bytes, 0 where there is none that could be believed."""
    try:
        return max(map(int, _values(headers, b"content-length")), default=0)
    except ValueError:
        return 0
