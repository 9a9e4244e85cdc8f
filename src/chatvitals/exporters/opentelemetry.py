"""Snapshots as OpenTelemetry metric data: the same numbers as `/metrics`, point by point.

On the way from OpenTelemetry to Prometheus, names, labels and values become those of `/metrics` again.
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
from chatvitals.exporters.text_format import give_way
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import spans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.snapshot import Exemplars, Values
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Exemplar as Marked

_SCOPE = InstrumentationScope("chatvitals", __version__)
_NANO = 1_000_000_000


class Interval(NamedTuple):
    """What the points of one push are about."""

    start: float
    """Unix seconds since when cumulative points count."""
    now: float
    """Unix seconds."""
    counters_since: float | None = None
    """For counters as differences: Unix seconds of the last push; None where they count up."""
    histograms_since: float | None = None
    """The same for histograms."""


def resource_metrics(
    resource: Resource,
    values: dict[str, Values],
    interval: Interval,
    before: dict[str, Values],
    exemplars: dict[str, Exemplars],
) -> ResourceMetrics:
    """Return metric data of one resource.

    Args:
        resource: whose numbers these are.
        values: by family name, as in a snapshot.
        interval: which time they are about.
        before: what was pushed last, for differences.
        exemplars: by family name, as in a snapshot.

    """
    metrics = []
    for family in catalogue.FAMILIES.values():
        found = values.get(family.name)
        if found:
            marked = exemplars.get(family.name, {})
            metrics.append(_metric(family, found, interval, before.get(family.name, {}), marked))
            give_way()
    return ResourceMetrics(resource, [ScopeMetrics(_SCOPE, metrics, "")], "")


def _metric(family: Family, values: Values, interval: Interval, before: Values, exemplars: Exemplars) -> Metric:
    since = {"counter": interval.counters_since, "histogram": interval.histograms_since}.get(family.kind)
    temporality = AggregationTemporality.CUMULATIVE if since is None else AggregationTemporality.DELTA
    start = int((interval.start if since is None else since) * _NANO)
    now = int(interval.now * _NANO)
    data: Sum | Gauge | Histogram
    if family.kind == "histogram":
        histograms = [
            _histogram(
                family,
                labels,
                fields if since is None else _difference(fields, before.get(labels)),
                (start, now),
                [_exemplar(each) for each in exemplars.get(labels, {}).values() if since is None or each.at >= since],
            )
            for labels, fields in values.items()
        ]
        data = Histogram(histograms, temporality)
    else:
        numbers = [
            NumberDataPoint(
                _attributes(family, labels),
                start,
                now,
                (fields if since is None else _difference(fields, before.get(labels))).get(0, 0.0),
            )
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
    exemplars: list[Exemplar],
) -> HistogramDataPoint:
    counts = [int(fields.get(index, 0.0)) for index in range(len(family.buckets) + 1)]
    return HistogramDataPoint(
        attributes=_attributes(family, labels),
        start_time_unix_nano=between[0],
        time_unix_nano=between[1],
        count=sum(counts),
        sum=fields.get(SUM, 0.0),
        bucket_counts=counts,
        explicit_bounds=family.buckets,
        min=None,  # type: ignore[arg-type]  # nobody kept it, and None is encoded as absent
        max=None,  # type: ignore[arg-type]
        exemplars=exemplars,
    )


def _exemplar(exemplar: Marked) -> Exemplar:
    trace, span = int(spans.trace_id(exemplar.trace), 16), int(spans.span_id(exemplar.trace), 16)
    return Exemplar({}, exemplar.value, int(exemplar.at * _NANO), span, trace)


def _attributes(family: Family, labels: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(family.all_labels, labels, strict=False) if value}


def _difference(fields: dict[int, float], before: dict[int, float] | None) -> dict[int, float]:
    """Return how much was added; where less is there than before, the store is a new one and all of it is."""
    if not before or any(fields.get(field, 0.0) < value for field, value in before.items() if field != SUM):
        return fields
    return {field: value - before.get(field, 0.0) for field, value in fields.items()}
