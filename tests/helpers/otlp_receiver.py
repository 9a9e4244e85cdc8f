"""A loopback OTLP endpoint over HTTP and gRPC, and the way from its points to the names of Prometheus."""

from __future__ import annotations

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import grpc  # type: ignore[import-untyped]  # has no types
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[str, tuple[tuple[str, str], ...]]


class Point(NamedTuple):
    """One sample as Prometheus would name it, and what only OTLP tells."""

    key: Key
    value: float
    start: float
    instance: str


class Receiver:
    """Gathers the requests that reach it.

    With `fail` it answers with an error. With `token` it requires that token. With `redirect` it redirects with that
    status, and answers anything but a POST with 200. With `page` it answers with that web page. With `rejected` or
    `reason` it accepts a part only.
    """

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.traces: list[Any] = []
        """Requests with spans."""
        self.fail = False
        self.token = ""
        self.redirect = 0
        self.page = b""
        self.rejected, self.reason = 0, ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                allowed = not receiver.token or self.headers["Authorization"] == f"Bearer {receiver.token}"
                if receiver.redirect:
                    self.send_response(receiver.redirect)
                    self.send_header("Location", "/login")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if receiver.page:
                    self.send_response(200)
                    self.send_header("Content-Type", "text/html; charset=utf-8")
                    self.send_header("Content-Length", str(len(receiver.page)))
                    self.end_headers()
                    self.wfile.write(receiver.page)
                    return
                if self.path == "/v1/traces":
                    receiver.traces.append(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
                elif allowed and not receiver.fail:
                    receiver.requests.append(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body))
                answer = receiver.answer().SerializeToString()
                self.send_response(400 if receiver.fail else 200 if allowed else 401)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Log nothing."""

        class Service(metrics_service_pb2_grpc.MetricsServiceServicer):
            def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - named by the service
                receiver.requests.append(request)
                return receiver.answer()

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._grpc = grpc.server(ThreadPoolExecutor(1))
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
            Service(), self._grpc
        )
        self.address = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.url = f"{self.address}/v1/metrics"
        self.grpc_address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def answer(self) -> Any:
        """Return what the endpoint says about a request."""
        answer = metrics_service_pb2.ExportMetricsServiceResponse()
        if self.rejected or self.reason:
            answer.partial_success.rejected_data_points = self.rejected
            answer.partial_success.error_message = self.reason
        return answer

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._grpc.stop(None).wait(60)

    def points(self, request: int = -1) -> list[Point]:
        """Return the samples of a request, the latest by default."""
        return list(points(self.requests[request]))

    def samples(self, request: int = -1) -> dict[Key, float]:
        """Return the values of a request by name and labels."""
        return {point.key: point.value for point in self.points(request)}


def spans(requests: list[Any]) -> list[Any]:
    """Return all spans of requests."""
    return [
        span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def points(request: Any) -> Iterator[Point]:
    """Yield the samples of a request under the names that the specification's mapping gives them."""
    for resource in request.resource_metrics:
        attributes = {item.key: item.value.string_value for item in resource.resource.attributes}
        instance = attributes["service.instance.id"]
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                name = metric.name.replace(".", "_")
                if metric.unit == "s":
                    name += "_seconds"
                kind = metric.WhichOneof("data")
                if kind == "sum" and metric.sum.is_monotonic:
                    name += "_total"
                for point in getattr(metric, kind).data_points:
                    labels = {item.key: item.value.string_value for item in point.attributes}
                    start = point.start_time_unix_nano / 1e9
                    if kind == "histogram":
                        assert not point.HasField("min")
                        for key, value in _histogram(name, labels, point):
                            yield Point(key, value, start, instance)
                    else:
                        yield Point((name, tuple(sorted(labels.items()))), point.as_double, start, instance)


def _histogram(name: str, labels: dict[str, str], point: Any) -> Iterator[tuple[Key, float]]:
    total = 0
    for bound, count in zip([*map(repr, point.explicit_bounds), "+Inf"], point.bucket_counts, strict=True):
        total += count
        yield (f"{name}_bucket", tuple(sorted({**labels, "le": bound}.items()))), float(total)
    yield (f"{name}_count", tuple(sorted(labels.items()))), float(point.count)
    yield (f"{name}_sum", tuple(sorted(labels.items()))), point.sum
