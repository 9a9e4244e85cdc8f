"""The answers of an OTLP endpoint. The SDK's exporters look at the status alone."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricExporter

_LONGEST_REASON = 200


class EndpointAnswers:
    """The answer of an endpoint to the latest push, beyond success or failure.

    Args:
        exporter: an exporter of the SDK over HTTP or gRPC, or any other, whose answers stay unknown.

    """

    def __init__(self, exporter: MetricExporter) -> None:
        self._exporter = exporter
        self.rejected: int = 0
        """The number of points that the endpoint did not accept. They must not be sent again."""
        self.reason: str = ""
        """The endpoint's own words about it, shortened."""
        self.is_foreign: bool = False
        """Whether the answer was a page for people, such as that of a proxy or a login. Nothing was accepted then."""

    def begin(self) -> None:
        """Forget the last push and listen to the next one. A new connection of the exporter is noticed here."""
        self.rejected, self.reason, self.is_foreign = 0, "", False
        exporter: Any = self._exporter
        session = getattr(exporter, "_session", None)  # of versions over HTTP that use requests directly
        if session is not None and self._of_requests not in session.hooks["response"]:
            session.hooks["response"].append(self._of_requests)
        client = getattr(exporter, "_client", None)
        _wrap(getattr(client, "_transport", None), "request", self._of_transport)  # of later versions over HTTP
        _wrap(client, "Export", self._of_stub)  # over gRPC

    def _of_requests(self, response: Any, *_: object, **__: object) -> None:
        with suppress(Exception):  # as in `_Told`
            self._read(response.status_code, response.headers.get("Content-Type", ""), response.content)

    def _of_transport(self, result: Any) -> None:
        if result.status_code is not None:
            self._read(result.status_code, result.headers().get("Content-Type", ""), result.content())

    def _of_stub(self, response: ExportMetricsServiceResponse) -> None:
        partial_success = response.partial_success
        self.rejected = partial_success.rejected_data_points
        self.reason = " ".join(partial_success.error_message.split())[:_LONGEST_REASON]

    def _read(self, status: int, kind: str, body: bytes) -> None:
        if status != HTTPStatus.OK:
            return
        if "html" in kind.lower() or body.lstrip().startswith(b"<"):
            self.is_foreign = True
        elif "json" not in kind.lower():
            self._of_stub(ExportMetricsServiceResponse.FromString(body))


def _wrap(owner: Any, name: str, told: Callable[[Any], None]) -> None:
    """Pass the results of a method to `told`, also after a second call."""
    method = getattr(owner, name, None)
    if callable(method) and not isinstance(method, _Told):
        setattr(owner, name, _Told(method, told))


class _Told:
    """A method whose results are passed to a function. An answer that cannot be read changes nothing."""

    def __init__(self, method: Callable[..., Any], told: Callable[[Any], None]) -> None:
        self._method = method
        self._told = told

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        result = self._method(*arguments, **more)
        with suppress(Exception):  # servers answer in many ways, and the status decides
            self._told(result)
        return result
