"""Integration of WSGI applications. Webhooks are copied while the application reads them."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from chatvitals.exporters.metrics_app import MetricsRequest
from chatvitals.integrations import _arguments, _http, _lost_webhooks, _paths
from chatvitals.integrations._http import SEEN, DoorVitals
from chatvitals.integrations._wsgi_input import InputWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatvitals.pipeline.webhook_sink import WebhookSink

    Environ: TypeAlias = dict[str, Any]
    StartResponse: TypeAlias = Callable[..., Any]
    WSGIApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

__all__ = ["ChatVitalsWSGIMiddleware"]

logger: logging.Logger = logging.getLogger(__name__)


class MountableVitals(DoorVitals, Protocol):
    """The parts of `Vitals` that an integration needs to serve the metrics."""

    def metrics_response(self, request: MetricsRequest) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the metrics page."""


class ChatVitalsWSGIMiddleware:
    """A middleware that watches the webhook of a WSGI application. All other requests pass unchanged.

        app.wsgi_app = ChatVitalsWSGIMiddleware(app.wsgi_app, vitals, metrics_path="/metrics")

    Args:
        app: the WSGI application of the bot.
        vitals: the result of `chatvitals.init`.
        webhook_path: the path that WhatsApp posts to, within this application or in full.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Raises:
        TypeError: `app` is no WSGI application, or `vitals` is not the result of `chatvitals.init`.
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """

    def __init__(
        self, app: WSGIApp, vitals: DoorVitals, *, webhook_path: str = "/webhook", metrics_path: str | None = None
    ) -> None:
        _arguments.check_wsgi(app, vitals)
        _paths.check_paths(webhook_path, metrics_path)
        self.app = app
        self._vitals: Any = vitals
        self._sink = vitals.webhook_sink
        self._paths = _paths.spellings("webhook_path", webhook_path)
        self._metrics: tuple[str, ...] = ()
        self._serves: Callable[[str], bool] | None = None
        self._taken: dict[str, bool] = {}  # whether the application answers at a path itself, since the first request
        self._sink.watches(webhook_path)
        self.serve_metrics(metrics_path)

    def serve_metrics(self, path: str | None, serves: Callable[[str], bool] | None = None) -> None:
        """Serve the metrics at `path`. A second call with the same path does nothing.

        Args:
            path: the path. None changes nothing.
            serves: function that returns whether the application itself answers GET on a path. It is called on the
                first scrape, when all routes exist.

        Raises:
            ValueError: another application is mounted at `path` already.

        """
        if path is None or path in self._metrics:
            return
        spelled = _paths.spellings("metrics_path", path)
        mounts = getattr(self.app, "mounts", None)  # of Werkzeug's DispatcherMiddleware
        if isinstance(mounts, dict) and not set(spelled).isdisjoint(mounts):
            raise ValueError(_arguments.taken_sentence(path))
        self._metrics, self._serves = spelled, serves
        self._sink.serves(path)
        _http.warn_if_open(self._sink, path)

    def watches(self, vitals: DoorVitals, webhook_path: str) -> bool:
        """Return whether this middleware watches a path for a `Vitals`.

        Args:
            vitals: the result of `chatvitals.init`.
            webhook_path: the path that WhatsApp posts to.

        Raises:
            ValueError: `webhook_path` is not a fixed path that starts with `/`.

        """
        return self._sink is vitals.webhook_sink and self._paths == _paths.spellings("webhook_path", webhook_path)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, and watch it if it is a webhook."""
        method = environ.get("REQUEST_METHOD")
        if method == "POST":
            if self._is_webhook(environ):
                return _Delivery(self._sink, _environ=environ, _start_response=start_response).run(self.app)
            if self._sink.expects_webhooks and SEEN not in environ:
                watch_for_lost(self._sink, environ)
        elif self._metrics and method in {"GET", "HEAD"} and self._is_ours(environ):
            return self._serve(environ, start_response)
        return self.app(environ, start_response)

    def _is_webhook(self, environ: Environ) -> bool:
        path = environ.get("PATH_INFO")
        if path not in self._paths and not _paths.matches(self._paths, path, environ.get("SCRIPT_NAME")):
            return False
        return not _http.is_seen(self._sink, environ.get(SEEN), signature_in, environ)

    def _is_ours(self, environ: Environ) -> bool:
        """Return whether this is the path of our metrics, and the application does not answer there itself."""
        path = str(environ.get("PATH_INFO"))
        if not _paths.asks_for_metrics(self._metrics, path, environ.get("SCRIPT_NAME")):
            return False
        taken = self._taken.get(path)
        if taken is None:
            taken = False
            with self._sink.guard("metrics"):
                if self._serves is not None and self._serves(path):
                    taken = True
                    logger.warning("The metrics of chatvitals are not shown: %s.", _arguments.taken_sentence(path))
            self._taken[path] = taken
        return not taken

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        status, headers, body = self._vitals.metrics_response(
            MetricsRequest(
                method,
                environ.get("HTTP_ACCEPT", ""),
                environ.get("HTTP_AUTHORIZATION", ""),
                environ.get("HTTP_ACCEPT_ENCODING", ""),
            )
        )
        headers["Content-Length"] = str(len(body))
        reason = {200: "OK", 401: "Unauthorized"}.get(status, "Internal Server Error")
        start_response(f"{status} {reason}", list(headers.items()))
        return [b"" if method == "HEAD" else body]


def signature_in(environ: Environ) -> str | None:
    """Return the signature header of a WSGI environ."""
    value = environ.get("HTTP_X_HUB_SIGNATURE_256")
    return value if isinstance(value, str) else None


class EnvironDelivery(_http.Delivery, eq=False, kw_only=True):
    """One POST on the webhook path, for servers that describe it in a WSGI environ."""

    _environ: Environ

    def signature(self) -> str | None:
        """Return the signature header. Servers join several headers with commas, so that none of them is valid."""
        return signature_in(self._environ)

    def declared_length(self) -> int:
        """Return the declared length of the body in bytes, or 0 where there is no valid length."""
        try:
            return int(self._environ.get("CONTENT_LENGTH") or 0)
        except (TypeError, ValueError):
            return 0

    def let_go(self) -> None:
        """Keep the three entries that are still needed instead of the environ, which refers to this object."""
        names = ("HTTP_X_HUB_SIGNATURE_256", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
        self._environ = {name: self._environ[name] for name in names if name in self._environ}

    def copy(self, piece: bytes, *, last: bool) -> None:
        """Copy a piece of the body. A body that ends too early is dropped.

        Servers show by nothing else that the client has gone.
        """
        if last and self._size + len(piece) < self._least():
            self.forget()
        super().copy(piece, last=last)

    def _least(self) -> int:
        """Return the smallest length in bytes of a body that is whole. Nobody sends an empty body in chunks."""
        return self.declared_length() or int("HTTP_TRANSFER_ENCODING" in self._environ)


class _Delivery(EnvironDelivery, eq=False, kw_only=True):
    """One POST on the webhook path of a WSGI application."""

    _start_response: StartResponse

    where = "wsgi"

    def run(self, app: WSGIApp) -> Iterable[bytes]:
        """Call the application with the contacts of this webhook bound and the request marked as counted."""
        environ = self._environ
        try:
            environ[SEEN] = self.enter(environ.get(SEEN))
            bare = environ.get("wsgi.input")
            if bare is not None:
                environ["wsgi.input"] = InputWatch(bare, self)
            if environ.get("CONTENT_LENGTH") == "0":  # some servers do not let the application read nothing
                self.copy(b"", last=True)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report("wsgi", error)
        try:
            response = app(environ, self._start)
        except Exception:
            if self._acknowledges and self._status is None:
                with self._sink.guard("wsgi"):
                    self._acknowledge()
            self.end()
            raise
        except BaseException:
            self.end()
            raise
        if self._goes_on(response):
            self.pause()
            return _Response(response, self)
        self.end()
        return response

    def resume(self) -> None:
        """Bind the contacts again, because the server requests more of the response."""
        try:
            self.bind()
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report("wsgi", error)

    def pause(self) -> None:
        """Restore the previous binding until the server requests more."""
        self.unbind()

    def _start(self, status: str, headers: list[tuple[str, str]], *more: Any, **keywords: Any) -> Any:
        """Start the response for the application. Only an error for account events may become a 200."""
        try:
            code: object = None
            with suppress(TypeError, ValueError):
                code = int(status[:3])
            if self.answered(code):
                status = "200 OK"
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report("wsgi", error)
        return self._start_response(status, headers, *more, **keywords)

    def _acknowledge(self) -> None:
        """Answer in place of an application that raised. Its server then logs the exception and sends nothing more."""
        self._start("200 OK", [("Content-Length", "0")])(b"")

    def _goes_on(self, response: object) -> bool:
        """Return whether code of the application may run while the server sends the response.

        Servers recognise files and sequences by their type, so these pass as the same object.
        """
        if self._status is None and not hasattr(response, "__len__"):
            return True
        wrapper = self._environ.get("wsgi.file_wrapper")
        if wrapper is not None and (not isinstance(wrapper, type) or isinstance(response, wrapper)):
            return False
        return hasattr(response, "close") and not hasattr(response, "__len__")


def watch_for_lost(sink: WebhookSink, environ: Environ) -> None:
    """Check the body of a POST on another path for a lost webhook."""
    bare = environ.get("wsgi.input")
    if bare is not None and "json" in str(environ.get("CONTENT_TYPE")):
        environ["wsgi.input"] = InputWatch(bare, _lost_webhooks.Lookout(sink, environ.get("PATH_INFO")))


class _Response:
    """A response that runs code of the application while the server sends it. The contacts are bound then."""

    __slots__ = ("_bare", "_delivery", "_pieces")

    def __init__(self, bare: Any, delivery: _Delivery) -> None:
        self._bare = bare
        self._delivery = delivery
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._delivery.resume()
        try:
            if self._pieces is None:
                self._pieces = iter(self._bare)
            return next(self._pieces)
        except BaseException:
            if not hasattr(self._bare, "close"):
                self._delivery.end()
            raise
        finally:
            self._delivery.pause()

    def __getattr__(self, name: str) -> Any:
        if name != "close":
            return getattr(self._bare, name)
        return self._close if hasattr(self._bare, "close") else getattr(self._bare, name)

    def _close(self) -> Any:
        self._delivery.resume()
        try:
            return self._bare.close()
        finally:
            self._delivery.end()
