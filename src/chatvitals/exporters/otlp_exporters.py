"""The exporters of OpenTelemetry's SDK: their choice by variables, their preferences, and the fastest access."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricExportResult, MetricsData

from chatvitals.exporters.opentelemetry import resource_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.metrics.export import MetricExporter

    from chatvitals.exporters.opentelemetry import Part
    from chatvitals.exporters.otlp_answers import EndpointAnswers
    from chatvitals.exporters.otlp_requests import KeptRequest

_PACKAGE = "opentelemetry.exporter.otlp.proto."


def default() -> MetricExporter:
    """Return the exporter of the standard variables, which is OTLP over HTTP or gRPC.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.

    """
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol == "grpc":
        from chatvitals.exporters.otlp_grpc import GrpcExporter  # noqa: PLC0415

        return GrpcExporter()
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter()


def wants_delta(exporter: MetricExporter) -> tuple[bool, bool]:
    """Return whether the exporter prefers differences, for counters and for histograms."""
    preferred = getattr(exporter, "_preferred_temporality", None) or {}  # the SDK's own readers use this attribute, too
    delta = AggregationTemporality.DELTA
    return preferred.get(Counter) is delta, preferred.get(Histogram) is delta


class Sender:
    """A sender of numbers to one exporter, without spans of the bot's own instrumentation.

    Args:
        exporter: any `MetricExporter`.

    """

    answers: EndpointAnswers | None = None
    """The answer of the endpoint to the latest push, or None for an exporter that is not the SDK's."""

    def __init__(self, exporter: MetricExporter) -> None:
        self._exporter = exporter
        if any(kind.__module__.startswith(_PACKAGE) for kind in type(exporter).__mro__):
            from chatvitals.exporters.otlp_answers import EndpointAnswers  # noqa: PLC0415 - it needs protobuf

            self.answers = EndpointAnswers(exporter)
            _refuse_redirects(exporter)
        self._short = _short_way(exporter)
        self._kept: KeptRequest | None = None

    def send(self, parts: Sequence[Part]) -> bool:
        """Send the numbers. Return whether the endpoint accepted them, perhaps without some. Exceptions pass."""
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        if self.answers is not None:
            self.answers.begin()
        try:
            if self._short is not None:
                taken = self._send_kept(self._short, parts)
            else:
                result = self._exporter.export(MetricsData(list(map(resource_metrics, parts))))
                taken = result is MetricExportResult.SUCCESS
            return taken and not (self.answers is not None and self.answers.is_foreign)
        finally:
            detach(token)

    def _send_kept(self, way: Callable[[Any], Any], parts: Sequence[Part]) -> bool:
        from chatvitals.exporters.otlp_requests import KeptRequest  # noqa: PLC0415 - it needs protobuf

        if self._kept is None:
            self._kept = KeptRequest()
        try:
            request = self._kept.update(parts)
        except Exception:
            self._kept = None  # it may be updated only in part
            raise
        return way(request) is MetricExportResult.SUCCESS


def _refuse_redirects(exporter: MetricExporter) -> None:
    """Make a redirect an error. The SDK's exporters over HTTP take it for success, and the numbers are lost."""
    session = getattr(exporter, "_session", None)  # of versions that follow redirects, with a GET
    if session is not None:
        session.max_redirects = 0
    client: Any = getattr(exporter, "_client", None)  # of later versions
    send = getattr(client, "export", None)
    if callable(send):
        client.export = partial(_sent, send)


def _sent(send: Callable[[bytes], Any], data: bytes) -> Any:
    result = send(data)
    status = getattr(result, "status_code", None) or 0
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return replace(result, success=False)
    return result


def _short_way(exporter: MetricExporter) -> Callable[[Any], Any] | None:
    """Return the method of the SDK's own exporters that accepts an encoded request, or None.

    The public `export` would encode all points again each time. It is used where a version has no such method, or where
    requests are split.
    """
    if not type(exporter).__module__.startswith((_PACKAGE, "chatvitals.")):
        return None
    if getattr(exporter, "_max_export_batch_size", None) is not None:
        return None
    way = getattr(exporter, "export_request", None) or getattr(exporter, "_export_batch", None)
    return way if callable(way) else None
