"""An HTTP server for the metrics of a store. It changes nothing in the store."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from chatvitals.exporters.prometheus import allows, page

if TYPE_CHECKING:
    from chatvitals.exporters.prometheus import VitalsCollector
    from chatvitals.runtime.error_guard import ErrorGuard

_IDLE_SECONDS = 30.0  # after which an idle connection is closed


class Server(ThreadingHTTPServer):
    """A server with one thread per connection. Set `guard`, `collector` and `token` before the first connection."""

    guard: ErrorGuard
    collector: VitalsCollector
    token: str | None
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    """The handler of one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "chatvitals"
    sys_version = ""
    timeout = _IDLE_SECONDS

    def do_GET(self) -> None:
        """Answer with the metrics."""
        path = self.path.partition("?")[0]
        if path == "/":
            self._answer(200, b"the metrics are at /metrics\n")
        elif path == "/-/healthy":
            self._answer(200, b"healthy\n")
        elif path == "/-/ready":
            ready = self.server.collector.ready()
            self._answer(*((200, b"ready\n") if ready else (503, b"the store cannot be read\n")))
        elif path != "/metrics":
            self._answer(404, b"Not found. The metrics are at /metrics\n")
        elif not allows(self.server.token, [value.encode() for value in self.headers.get_all("Authorization", [])]):
            self._answer(401, b"unauthorized\n", ("WWW-Authenticate", "Bearer"))
        else:
            with self.server.guard("metrics") as fence:
                asked = [",".join(self.headers.get_all(name, [])) for name in ("Accept", "Accept-Encoding")]
                answer = page(self.server.collector, *asked)
            if fence.failed:
                self._answer(500, b"chatvitals could not render its metrics. See the log\n")
            else:
                self._answer(200, answer.body, *answer.headers)

    do_HEAD = do_GET  # noqa: N815 - named by the base class

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Log nothing, because scrapes are frequent."""

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
