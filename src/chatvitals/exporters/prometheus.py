"""A collector for prometheus_client registries, and the page for scrapes."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as PrometheusExemplar

from chatvitals.exporters import content_negotiation, text_blocks
from chatvitals.exporters.snapshot import SnapshotReader, by_family
from chatvitals.exporters.text_format import TextFormat
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import pacing, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from chatvitals.exporters.leader_election import LeaderElection
    from chatvitals.exporters.snapshot import Exemplars, Snapshot, Values
    from chatvitals.exporters.text_blocks import TextBlock
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Cell, Exemplar
    from chatvitals.pipeline.worker import Pipeline
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store
    from chatvitals.tracking.journeys import Journey

_GIVE_WAY_AFTER = 10  # label sets
_MULTIPROCESS = {"PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"}
_NOT_SHOWN = (
    "prometheus_client runs in multiprocess mode (PROMETHEUS_MULTIPROC_DIR is set). Usual /metrics handlers show no "
    "collector then. Serve the numbers with metrics_path=, vitals.metrics_app() or `chatvitals exporter`, or register "
    "vitals.collector in the registry that the handler itself creates."
)


class VitalsCollector(Collector):
    """A collector that shows the store's numbers in any prometheus_client registry.

    With a leader election, only the leader shows more than this process's own health.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pipeline: Pipeline | None,
        guard: ErrorGuard,
        journeys: Mapping[str, Journey],
        leadership: LeaderElection | None = None,
    ) -> None:
        self.reader: SnapshotReader = SnapshotReader(settings, store, pipeline, guard, journeys)
        self._store = store
        self._guard = guard
        self._leadership = leadership
        self._text = TextFormat(openmetrics=False)
        self._openmetrics = TextFormat(openmetrics=True)

    def ready(self) -> bool:
        """Return whether the store can be read now, for a readiness probe. It never raises."""
        try:
            self._store.about()
        except Exception:  # noqa: BLE001 - a probe must not raise into the bot's server
            return False
        return True

    def describe(self) -> Iterable[Metric]:
        """Return the families without reading the store, so that registration is cheap and finds clashes."""
        if _MULTIPROCESS & os.environ.keys():
            self._guard.advice.once(_NOT_SHOWN)
        return [_metric(family) for family in catalogue.FAMILIES.values()]

    def collect(self) -> Iterator[Metric]:
        """Yield all families. It never raises into a registry, which may be the host's."""
        with pacing.paced():
            snapshot = self.snapshot()
        for family in catalogue.FAMILIES.values():
            found = snapshot.values.get(family.name)
            if found:
                with self._guard("metrics") as fence, pacing.paced():
                    metric = _filled(family, found, snapshot.exemplars.get(family.name, {}))
                if not fence.failed:
                    yield metric

    def snapshot(self) -> Snapshot:
        """Return the current snapshot of this process. It never raises."""
        if self._leadership is not None and not self._leadership.ask():
            return self.reader.read_process()
        return self.reader.read()

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the current metrics of this process as text."""
        return text_blocks.plain(self.blocks(openmetrics=openmetrics))

    def blocks(self, *, openmetrics: bool) -> list[TextBlock]:
        """Return the same text in blocks, for compression."""
        return (self._openmetrics if openmetrics else self._text).blocks(self.snapshot())


class Page(msgspec.Struct, frozen=True):
    """The answer to a scrape."""

    body: bytes
    headers: list[tuple[str, str]]


def page(collector: VitalsCollector, accept: str = "", accept_encoding: str = "") -> Page:
    """Return the exposition in the format and compression that the scrape's headers request.

    Args:
        collector: the collector to show.
        accept: the `Accept` header.
        accept_encoding: the `Accept-Encoding` header.

    """
    packs = content_negotiation.wants_gzip(accept_encoding)
    with pacing.paced():
        blocks, content_type = _blocks(collector, accept)
        body = text_blocks.gzipped(blocks) if packs else text_blocks.plain(blocks)
    headers = [("Content-Type", content_type), ("Vary", "Accept, Accept-Encoding")]
    if packs:
        headers.append(("Content-Encoding", "gzip"))
    return Page(body, headers)


def render(collector: VitalsCollector, accept: str = "") -> tuple[bytes, str]:
    """Return the exposition and its content type. The `Accept` header selects text or OpenMetrics."""
    blocks, content_type = _blocks(collector, accept)
    return text_blocks.plain(blocks), content_type


def allows(token: str | None, given: list[bytes]) -> bool:
    """Return whether the `Authorization` headers carry the bearer token. Without a token, access is open."""
    return token is None or (len(given) == 1 and hmac.compare_digest(given[0], f"Bearer {token}".encode()))


def families(cells: Mapping[Cell, float]) -> Iterator[Metric]:
    """Yield the families in a store's cells, without families that need a running bot."""
    for name, values in by_family(cells).items():
        yield _filled(catalogue.FAMILIES[name], values, {})


def _blocks(collector: VitalsCollector, accept: str) -> tuple[list[TextBlock], str]:
    openmetrics = content_negotiation.wants_openmetrics(accept)
    content_type = content_negotiation.OPENMETRICS if openmetrics else content_negotiation.TEXT
    return collector.blocks(openmetrics=openmetrics), content_type


def _metric(family: Family) -> Metric:
    if family.kind == "counter":
        return CounterMetricFamily(family.name.removesuffix("_total"), family.help)
    if family.kind == "gauge":
        return GaugeMetricFamily(family.name, family.help, unit=family.suffix)
    return HistogramMetricFamily(family.name, family.help, unit=family.suffix)


def _filled(family: Family, values: Values, exemplars: Exemplars) -> Metric:
    metric = _metric(family)
    for count, values_of_labels in enumerate(sorted(values), 1):
        fields = values[values_of_labels]
        labels = {label: value for label, value in zip(family.all_labels, values_of_labels, strict=False) if value}
        if family.kind == "histogram":
            _add_histogram(metric, family, labels, fields, exemplars.get(values_of_labels, {}))
        else:
            metric.add_sample(family.name, labels, fields.get(0, 0.0))
        if not count % _GIVE_WAY_AFTER:
            pacing.give_way()
    return metric


def _add_histogram(
    metric: Metric, family: Family, labels: dict[str, str], fields: dict[int, float], exemplars: dict[int, Exemplar]
) -> None:
    total = 0.0
    for index, bound in enumerate((*family.buckets, None)):
        total += fields.get(index, 0.0)
        le = "+Inf" if bound is None else repr(bound)
        exemplar = exemplars.get(index)
        marked = None if exemplar is None else _exemplar(exemplar)
        metric.add_sample(f"{family.name}_bucket", {**labels, "le": le}, total, exemplar=marked)
    metric.add_sample(f"{family.name}_count", labels, total)
    metric.add_sample(f"{family.name}_sum", labels, fields.get(SUM, 0.0))


def _exemplar(exemplar: Exemplar) -> PrometheusExemplar:
    labels = {"trace_id": spans.trace_id(exemplar.trace), "span_id": spans.span_id(exemplar.trace)}
    return PrometheusExemplar(labels, exemplar.value, exemplar.at)
