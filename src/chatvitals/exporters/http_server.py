"""`chatvitals exporter`: a store's numbers on a port of their own, served by a process that changes none of them."""

from __future__ import annotations

import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.exporters.prometheus import VitalsCollector, allows, page
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

_DONE, _NOT_STARTED = 0, 2
_IDLE_SECONDS = 30.0  # after which a connection that says nothing is closed


def run(
    store: str,
    host: str,
    port: int,
    token: str | None,
    environ: Mapping[str, str] | None = None,
    *,
    otlp: bool = False,
) -> int:
    """Serve `/metrics` until Ctrl-C or SIGTERM, and return the exit status: 0, or 2 when it did not start.

    Contacts that become due are settled by the bot's workers: they know the bot's settings.

    Args:
        store: the store's URL; a file that is not there is not created.
        host: the address to listen on.
        port: where to listen; 0 takes a free one.
        token: the bearer token to ask for; None takes that of the environment.
        environ: the variables that hold the other settings, by default the process's.
        otlp: whether to push the numbers to an OTLP endpoint as well.

    """
    given: dict[str, object] = {"store": store, "hooks": False}
    if token is not None:
        given["metrics_token"] = token
    try:
        settings = Settings.load(given, environ)
        server = _Server((host, port), _Handler)
    except SettingsError as error:
        return _not_started(str(error))
    except (OSError, OverflowError) as error:
        return _not_started(f"{host}:{port} cannot be used ({error}): choose others with --host and --port")
    opened = open_store(settings.store, create=False)
    server.guard = ErrorGuard()
    server.collector = VitalsCollector(settings, opened, None, server.guard, {})
    server.token = settings.metrics_token
    push = None
    try:
        if otlp or settings.otlp:
            push = OtlpPush(server.collector.reader, opened, server.guard, time.time)
            push.ensure()
    except ModuleNotFoundError as error:
        server.server_close()
        return _not_started(str(error))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _say(f"Metrics: http://{host}:{server.server_address[1]}/metrics")
        server.serve_forever()
    except KeyboardInterrupt:
        return _DONE
    finally:
        signal.signal(signal.SIGTERM, before)
        server.server_close()
        if push is not None:
            push.close()
        opened.close()
    return _DONE


class _Server(ThreadingHTTPServer):
    """A thread per connection; `guard`, `collector` and `token` are set before the first one."""

    guard: ErrorGuard
    collector: VitalsCollector
    token: str | None
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: _Server
    protocol_version = "HTTP/1.1"
    server_version = "chatvitals"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with the metrics."""
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(200, b"the metrics are at /metrics\n")
        elif path != "/metrics":
            self._answer(404, b"not found; the metrics are at /metrics\n")
        elif not allows(self.server.token, [value.encode() for value in self.headers.get_all("Authorization", [])]):
            self._answer(401, b"unauthorized\n", ("WWW-Authenticate", "Bearer"))
        else:
            with self.server.guard("metrics") as fence:
                asked = [",".join(self.headers.get_all(name, [])) for name in ("Accept", "Accept-Encoding")]
                answer = page(self.server.collector, *asked)
            if fence.failed:
                self._answer(500, b"chatvitals could not render its metrics; see the log\n")
            else:
                self._answer(200, answer.body, *answer.headers)

    do_HEAD = do_GET  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Say nothing: a scrape every few seconds is no news."""

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        if not any(name == "Content-Type" for name, _ in headers):
            self.send_header("Content-Type", "text/plain; charset=utf-8")
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


def _not_started(sentence: str) -> int:
    sys.stderr.write(f"chatvitals exporter: {sentence}\n")
    return _NOT_STARTED
