"""OTLP requests that are kept between pushes, so that unchanged points are not encoded again.

The exporters of OpenTelemetry's SDK encode each push anew, which costs several times as much as a scrape. A request of
this module is the same, because the SDK encoded all its new parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics.export import MetricsData

from chatvitals.exporters.opentelemetry import NANO, bucket_counts, difference, resource_metrics
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import pacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.opentelemetry import Part
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Exemplar

_GIVE_WAY_AFTER = 50  # points


class KeptRequest:
    """A request that is updated for each push."""

    def __init__(self) -> None:
        self._request = ExportMetricsServiceRequest()
        self._kept: list[_KeptResource] = []

    def update(self, parts: Sequence[Part]) -> ExportMetricsServiceRequest:
        """Return the request with the content of `parts`. The next call changes it."""
        if [kept.resource for kept in self._kept] != [part.resource for part in parts]:
            self._request = ExportMetricsServiceRequest()
            self._kept = [_KeptResource(self._request, part) for part in parts]
        for kept, part in zip(self._kept, parts, strict=True):
            kept.update(part)
        return self._request


class _KeptResource:
    """The metrics of one resource."""

    def __init__(self, request: ExportMetricsServiceRequest, part: Part) -> None:
        self.resource: Resource = part.resource
        request.resource_metrics.extend(_encoded(part._replace(values={})).resource_metrics)
        self._metrics: Any = request.resource_metrics[-1].scope_metrics[0].metrics
        self._families: dict[str, _KeptFamily] = {}  # in the order of the metrics

    def update(self, part: Part) -> None:
        """Update all families."""
        for index, name in reversed(list(enumerate(self._families))):
            if not part.values.get(name):
                del self._metrics[index]
                del self._families[name]
        for index, (name, kept) in enumerate(self._families.items()):
            family = catalogue.FAMILIES[name]
            if not kept.update(family, part):
                self._metrics[index].CopyFrom(_encoded_family(part, name))
                self._families[name] = _KeptFamily(self._metrics[index], family, part)
                pacing.give_way()
        for name in catalogue.FAMILIES:
            if name not in self._families and part.values.get(name):
                self._metrics.append(_encoded_family(part, name))
                self._families[name] = _KeptFamily(self._metrics[-1], catalogue.FAMILIES[name], part)
                pacing.give_way()


class _KeptFamily:
    """The points of one family in the last push."""

    __slots__ = ("_exemplars", "_points", "_start", "_times", "_values")

    def __init__(self, metric: Any, family: Family, part: Part) -> None:
        self._values = part.values[family.name]
        self._exemplars = part.exemplars_of(family)
        self._points = dict(zip(self._values, getattr(metric, metric.WhichOneof("data")).data_points, strict=True))
        self._start = part.interval.start_of(family)

    def update(self, family: Family, part: Part) -> bool:
        """Update the points. Return False where they must be encoded again."""
        values = part.values[family.name]
        start = part.interval.start_of(family)
        if values.keys() != self._points.keys() or start.is_delta != self._start.is_delta:
            return False
        now = int(part.interval.now * NANO)
        begins = int(start.at * NANO) if start != self._start and family.kind != "gauge" else None
        before = part.before.get(family.name, {})
        exemplars = part.exemplars_of(family)
        for count, (labels, fields) in enumerate(values.items(), 1):
            point = self._points[labels]
            point.time_unix_nano = now
            if begins is not None:
                point.start_time_unix_nano = begins
            if start.is_delta:
                _set(family, point, difference(fields, before.get(labels)))
            elif fields != self._values[labels]:
                _set(family, point, fields)
            if exemplars.get(labels) != self._exemplars.get(labels):
                _mark(point, exemplars.get(labels, {}))
            if not count % _GIVE_WAY_AFTER:
                pacing.give_way()
        self._values, self._exemplars, self._start = values, exemplars, start
        return True


def _set(family: Family, point: Any, fields: dict[int, float]) -> None:
    if family.kind == "histogram":
        counts = bucket_counts(family, fields)
        point.bucket_counts[:] = counts
        point.count = sum(counts)
        point.sum = fields.get(SUM, 0.0)
    else:
        point.as_double = fields.get(0, 0.0)


def _mark(point: Any, exemplars: dict[int, Exemplar]) -> None:
    del point.exemplars[:]
    for exemplar in exemplars.values():
        point.exemplars.add(
            time_unix_nano=int(exemplar.at * NANO),
            trace_id=exemplar.trace[:16],
            span_id=exemplar.trace[16:24],
            as_double=exemplar.value,
        )


def _encoded(part: Part) -> ExportMetricsServiceRequest:
    return encode_metrics(MetricsData([resource_metrics(part)]))


def _encoded_family(part: Part, name: str) -> Any:
    request = _encoded(part._replace(values={name: part.values[name]}))
    return request.resource_metrics[0].scope_metrics[0].metrics[0]
