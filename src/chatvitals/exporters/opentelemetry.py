"""Conversion of snapshots to OpenTelemetry metric data, with the same numbers as `/metrics`.

From OpenTelemetry to Prometheus, names, labels and values become those of `/metrics` again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from chatvitals._version import __version__
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import pacing, spans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.snapshot import Exemplars, Values
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Exemplar as Marked

NANO = 1_000_000_000
_SCOPE = InstrumentationScope("chatvitals", __version__)


class Start(NamedTuple):
    """The start of a family's points."""

    at: float
    """Unix seconds."""
    is_delta: bool
    """Whether the points are differences since then, and not totals."""


class Interval(NamedTuple):
    """The times that the points of one push refer to."""

    start: float
    """Unix seconds from which cumulative points count."""
    now: float
    """Unix seconds."""
    counters_since: float | None = None
    """Unix seconds of the last push, for counters as differences. None for cumulative counters."""
    histograms_since: float | None = None
    """The same for histograms."""

    def start_of(self, family: Family) -> Start:
        """Return the start of a family's points."""
        since = {"counter": self.counters_since, "histogram": self.histograms_since}.get(family.kind)
        return Start(self.start, is_delta=False) if since is None else Start(since, is_delta=True)


class Part(NamedTuple):
    """The numbers of one resource, for one push."""

    resource: Resource
    """The resource of the numbers."""
    values: dict[str, Values]
    """By family name, as in a snapshot."""
    interval: Interval
    """The times of the points."""
    before: dict[str, Values]
    """The values of the last push, for differences."""
    exemplars: dict[str, Exemplars]
    """By family name, as in a snapshot."""

    def exemplars_of(self, family: Family) -> Exemplars:
        """Return the exemplars of a family. For differences, only those since the last push are included."""
        found = self.exemplars.get(family.name, {})
        start = self.interval.start_of(family)
        if not start.is_delta:
            return found
        return {
            labels: {bucket: each for bucket, each in marked.items() if each.at >= start.at}
            for labels, marked in found.items()
        }


def resource_metrics(part: Part) -> ResourceMetrics:
    """Return the metric data of one resource, for any exporter."""
    metrics = []
    for family in catalogue.FAMILIES.values():
        if part.values.get(family.name):
            metrics.append(_metric(family, part))
            pacing.give_way()
    return ResourceMetrics(part.resource, [ScopeMetrics(_SCOPE, metrics, "")], "")


def bucket_counts(family: Family, fields: dict[int, float]) -> list[int]:
    """Return the number of observations in each bucket of a histogram, not cumulative."""
    return [int(fields.get(index, 0.0)) for index in range(len(family.buckets) + 1)]


def difference(fields: dict[int, float], before: dict[int, float] | None) -> dict[int, float]:
    """Return the increase since the last push. It is 0 where a restored backup holds less than was pushed."""
    if not before:
        return fields
    return {field: max(0.0, value - before.get(field, 0.0)) for field, value in fields.items()}


def _metric(family: Family, part: Part) -> Metric:
    since = part.interval.start_of(family)
    temporality = AggregationTemporality.DELTA if since.is_delta else AggregationTemporality.CUMULATIVE
    start, now = int(since.at * NANO), int(part.interval.now * NANO)
    before = part.before.get(family.name, {})
    values = {
        labels: difference(fields, before.get(labels)) if since.is_delta else fields
        for labels, fields in part.values[family.name].items()
    }
    data: Sum | Gauge | Histogram
    if family.kind == "histogram":
        exemplars = part.exemplars_of(family)
        histograms = [
            _histogram(family, labels, fields, (start, now), exemplars.get(labels, {}))
            for labels, fields in values.items()
        ]
        data = Histogram(histograms, temporality)
    else:
        numbers = [
            NumberDataPoint(_attributes(family, labels), start, now, fields.get(0, 0.0))
            for labels, fields in values.items()
        ]
        if family.kind == "counter":
            data = Sum(numbers, temporality, is_monotonic=True)
        elif family.name.endswith(("_open", "_stalled")):  # amounts that add up over series
            data = Sum(numbers, temporality, is_monotonic=False)
        else:
            data = Gauge(numbers)
    return Metric(family.otel_name, family.help, family.unit, data)


def _histogram(
    family: Family,
    labels: tuple[str, ...],
    fields: dict[int, float],
    between: tuple[int, int],
    exemplars: dict[int, Marked],
) -> HistogramDataPoint:
    counts = bucket_counts(family, fields)
    return HistogramDataPoint(
        attributes=_attributes(family, labels),
        start_time_unix_nano=between[0],
        time_unix_nano=between[1],
        count=sum(counts),
        sum=fields.get(SUM, 0.0),
        bucket_counts=counts,
        explicit_bounds=family.buckets,
        min=None,  # type: ignore[arg-type]  # not known, and None is encoded as absent
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(each) for each in exemplars.values()],
    )


def _exemplar(exemplar: Marked) -> Exemplar:
    trace, span = int(spans.trace_id(exemplar.trace), 16), int(spans.span_id(exemplar.trace), 16)
    return Exemplar({}, exemplar.value, int(exemplar.at * NANO), span, trace)


def _attributes(family: Family, labels: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(family.all_labels, labels, strict=False) if value}
