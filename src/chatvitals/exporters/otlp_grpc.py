"""The SDK's exporter over gRPC, which also takes a request that has been encoded already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExportResult


class GrpcExporter(OTLPMetricExporter):
    """As the SDK's own, with the variables `OTEL_EXPORTER_OTLP_*`."""

    def export_request(self, request: ExportMetricsServiceRequest) -> MetricExportResult:
        """Send an encoded request, with the SDK's retries."""
        return self._export(data=request)

    def _translate_data(self, data: Any) -> ExportMetricsServiceRequest:
        return data if isinstance(data, ExportMetricsServiceRequest) else super()._translate_data(data)

    def _count_data(self, data: Any) -> int:
        if isinstance(data, ExportMetricsServiceRequest):
            return 1  # one request: counting its points would cost a walk through all of them
        return int(super()._count_data(data))
