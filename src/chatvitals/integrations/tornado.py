"""Integration of Tornado's server. Webhooks are copied as they arrive, before the handler gets them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPMessageDelegate, HTTPServerRequest, RequestStartLine
from tornado.web import Application, ErrorHandler, RequestHandler

from chatvitals import context
from chatvitals.integrations import _arguments
from chatvitals.integrations._doorway import Doorway, HeaderDelivery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.integrations._lost_webhooks import Lookout
    from chatvitals.integrations.wsgi import MountableVitals

__all__ = ["instrument"]


def instrument(vitals: MountableVitals, app: Application, webhook_path: str, metrics_path: str | None) -> None:
    """Watch the webhook of a Tornado application behind any server and router. `vitals.instrument_app(app)` calls it.

    Args:
        vitals: the result of `chatvitals.init`.
        app: the application. It is changed in place.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Raises:
        ValueError: the application answers `metrics_path` itself.

    """
    if metrics_path is not None:
        start_line = RequestStartLine("GET", metrics_path, "HTTP/1.1")
        asked = HTTPServerRequest(start_line=start_line, headers=HTTPHeaders({"Host": "127.0.0.1"}))
        if _is_answered(app, app.find_handler(asked)):
            raise ValueError(_arguments.taken_sentence(metrics_path))
    door = Doorway(vitals, webhook_path, metrics_path)
    bare = app.find_handler

    def find_handler(request: HTTPServerRequest, **more: Any) -> Any:
        found = bare(request, **more)
        try:
            if door.serves(request.method, request.path):
                if not _is_answered(app, found):
                    return app.get_handler_delegate(request, MetricsHandler, {"door": door})
            elif door.watches(request.method, request.path, _seen(request), request.headers.get_list):
                return _watched(door, request, found)
            elif (lookout := door.lookout(request.method, request.path, request.headers.get_list)) is not None:
                return _LookingDelegate(found, lookout)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            door.sink.guard.report(_Delivery.where, error)
        return found

    app.find_handler = find_handler


class MetricsHandler(RequestHandler):  # type: ignore[misc]  # Tornado may be missing when types are checked
    """A handler that answers GET and HEAD with the metrics."""

    def initialize(self, door: Doorway) -> None:
        """Store the doorway."""
        self._door = door

    async def get(self) -> None:
        """Answer with the metrics."""
        status, headers, body = await self._door.metrics(self.request.method, self.request.headers.get_list)
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    head = get


class _Delivery(HeaderDelivery, eq=False):
    """One POST on the webhook path of a Tornado application."""

    where = "tornado"

    @contextmanager
    def bound(self) -> Iterator[None]:
        """Bind the contacts while Tornado calls the handler. The task that it starts keeps them."""
        token = None
        try:
            token = context.bind(self.handling)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self.report(error)
        try:
            yield
        finally:
            if token is not None:
                context.unbind(token)


class _LookingDelegate(HTTPMessageDelegate):  # type: ignore[misc]  # as above
    """A delegate that observes the pieces of a request and passes them to Tornado's delegate."""

    def __init__(self, bare: Any, looking: _Delivery | Lookout) -> None:
        self._bare = bare
        self._looking = looking

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        """Pass the headers on."""
        return self._bare.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        """Copy a piece of the body, and pass it on."""
        if self._looking.is_copying:
            self._looking.copy(chunk, last=False)
        return self._bare.data_received(chunk)

    def finish(self) -> None:
        """Pass on that the body is complete."""
        if self._looking.is_copying:
            self._looking.copy(b"", last=True)
        self._bare.finish()

    def on_connection_close(self) -> None:
        """Pass on that the client has gone."""
        self._looking.forget()
        self._bare.on_connection_close()


class _Delegate(_LookingDelegate):
    """A delegate for a webhook, whose contacts are bound while Tornado calls the handler."""

    def __init__(self, bare: Any, delivery: _Delivery) -> None:
        super().__init__(bare, delivery)
        self._delivery = delivery

    def headers_received(self, start_line: Any, headers: Any) -> Any:
        """Pass the headers on. A streaming handler begins here."""
        with self._delivery.bound():
            return super().headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Any:
        """Pass a piece of the body on."""
        with self._delivery.bound():
            return super().data_received(chunk)

    def finish(self) -> None:
        """Pass on that the body is complete. The handler begins here."""
        try:
            with self._delivery.bound():
                super().finish()
        except BaseException:
            self._delivery.end()
            raise

    def on_connection_close(self) -> None:
        """Pass on that the client has gone."""
        try:
            with self._delivery.bound():
                super().on_connection_close()
        finally:
            self._delivery.end()


class _Connection(HTTPConnection):  # type: ignore[misc]  # as above
    """The connection for the handler's answer, which records the status."""

    def __init__(self, bare: Any, delivery: _Delivery) -> None:
        self._bare = bare
        self._delivery = delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bare, name)

    def write_headers(self, start_line: Any, headers: Any, chunk: bytes | None = None) -> Any:
        """Start the answer. Only an error for account events may become a 200."""
        if self._delivery.becomes_200(getattr(start_line, "code", None)):
            start_line = start_line._replace(code=200, reason="OK")
        return self._bare.write_headers(start_line, headers, chunk)

    def write(self, chunk: bytes) -> Any:
        """Write a piece of the answer."""
        return self._bare.write(chunk)

    def finish(self) -> Any:
        """End the answer."""
        try:
            return self._bare.finish()
        finally:
            self._delivery.end()


def _watched(door: Doorway, request: HTTPServerRequest, found: Any) -> _Delegate:
    """Return a delegate that copies the request on its way to the found delegate."""
    delivery = _Delivery(door.sink, _values=request.headers.get_list)
    request.connection = found.connection = _Connection(request.connection, delivery)
    request._chatvitals = delivery.around(_seen(request))  # noqa: SLF001 - a mark of ours
    return _Delegate(found, delivery)


def _seen(request: HTTPServerRequest) -> Any:
    return getattr(request, "_chatvitals", None)


def _is_answered(app: Application, found: Any) -> bool:
    """Return whether a route of the bot answers exactly this path. Catch-all routes do not count."""
    handler = getattr(found, "handler_class", None)
    if handler is None:
        return found is not None  # a delegate of the bot's own
    nobody = (ErrorHandler, MetricsHandler, app.settings.get("default_handler_class"))
    return handler not in nobody and not found.path_args and not found.path_kwargs
