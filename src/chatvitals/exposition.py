"""`/metrics` as a view of the store: a Prometheus collector, and an ASGI app that serves it."""

from __future__ import annotations

import asyncio
import hmac
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from chatvitals import catalogue
from chatvitals._version import __version__
from chatvitals.reducer import quality_state, quality_view
from chatvitals.reducer.measures import SUM, Measures
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping

    from chatvitals.catalogue import Family
    from chatvitals.guard import Guard
    from chatvitals.journeys import Journey
    from chatvitals.pipeline import Pipeline
    from chatvitals.reducer.measures import Cell
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

_PER_STEP = (
    catalogue.JOURNEY_STEP_REACHED,
    catalogue.JOURNEY_STEP_VISITS,
    catalogue.JOURNEY_STEP_LOOPS,
    catalogue.JOURNEY_STEP_ENDED,
    catalogue.JOURNEY_RUNS_OPEN,
    catalogue.JOURNEY_RUNS_STALLED,
)
_Values = dict[tuple[str, ...], dict[int, float]]


class VitalsCollector(Collector):
    """Shows the store's numbers in any prometheus_client registry.

    Each collection first has the pipeline settle what is due, then reads all cells at once. When the store cannot be
    reached, only own-health families are shown and `chatvitals_store_up` is 0.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pipeline: Pipeline,
        guard: Guard,
        journeys: Mapping[str, Journey],
    ) -> None:
        self._settings = settings
        self._store = store
        self._pipeline = pipeline
        self._guard = guard
        self._journeys = journeys
        self._last_own: dict[Cell, float] = {}

    def describe(self) -> Iterable[Metric]:
        """Name the families without reading the store, so that registering is cheap and finds clashes."""
        return [_metric(family) for family in catalogue.FAMILIES.values()]

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        self._pipeline.settle()
        own = self._pipeline.own_measures()  # before the cells: a commit in between must not hide anything
        measures = Measures()
        earliest: dict[tuple[str, str], float] = {}
        gauges: list[quality_view.Gauge] = []
        up = self._pipeline.store_up
        try:
            cells = self._store.cells()
            earliest = self._store.earliest()
            known = quality_state.decode(self._store.document(quality_state.DOCUMENT))
            gauges = list(quality_view.gauges(known, self._pipeline.clock(), self._settings.phone_number_id))
            self._last_own = {cell: value for cell, value in cells.items() if cell[0] in catalogue.OWN_HEALTH}
        except StoreUnavailableError as error:
            self._guard.report("store", message=str(error))
            up = False
            cells, gauges = {}, []
            measures.merge(own.adds)  # on top of what was last seen: a counter must never fall
            measures.merge(self._last_own)
        measures.merge(cells)
        values = _by_family(measures.adds)
        for family, labels, value in gauges:
            values.setdefault(family.name, {})[labels] = {0: value}
        self._start_at_zero(values, with_numbers=bool(cells))
        for (name, number), at in earliest.items():
            values[name] = {**values.get(name, {}), (number,): {0: at}}
        values[catalogue.STORE_UP.name] = {(): {0: float(up)}}
        values[catalogue.QUEUE_EVENTS.name] = {(): {0: float(self._pipeline.waiting)}}
        values[catalogue.QUEUE_CAPACITY.name] = {(): {0: float(self._pipeline.capacity)}}
        values[catalogue.JOURNEY_STEP_INFO.name] = {
            (journey.plan.name, step, str(index)): {0: 1.0}
            for journey in self._journeys.values()
            for index, step in enumerate(journey.plan.steps, 1)
        }
        values[catalogue.BUILD_INFO.name] = {(__version__, self._settings.app_version): {0: 1.0}}
        for family in catalogue.FAMILIES.values():
            found = values.get(family.name)
            if found:
                yield _filled(family, found)

    def _start_at_zero(self, values: dict[str, _Values], *, with_numbers: bool) -> None:
        """Give counters of closed label sets their 0: `increase` does not see a series that begins above it."""
        numbers = set(self._settings.phone_number_id) if with_numbers else set()
        for name, found in values.items():
            if catalogue.FAMILIES[name].per_number:
                numbers.update(labels[0] for labels in found)
        for family in catalogue.FAMILIES.values():
            hours = (
                [("yes",), ("no",)] if family.hours and self._settings.in_hours else [("",)] if family.hours else [()]
            )
            owners: Iterable[tuple[str, ...]] = [(number,) for number in numbers] if family.per_number else [()]
            for closed in self._starts(family):
                for owner in owners:
                    for hour in hours:
                        values.setdefault(family.name, {}).setdefault((*owner, *closed, *hour), {})

    def _starts(self, family: Family) -> Iterable[tuple[str, ...]]:
        if family is catalogue.TURNS_OVERDUE:  # its thresholds are a setting
            thresholds = [self._pipeline.rules.threshold_label(i) for i in range(len(self._settings.overdue_after))]
            return [(turn, threshold) for turn in catalogue.TURN for threshold in thresholds]
        names = [journey.plan.name for journey in self._journeys.values()]
        if family is catalogue.JOURNEY_RUNS_STARTED:
            return [(name,) for name in names]
        if family is catalogue.JOURNEY_RUNS:
            return [(name, outcome) for name in names for outcome in catalogue.RUN_OUTCOME]
        if family in _PER_STEP:
            return [(journey.plan.name, step) for journey in self._journeys.values() for step in journey.plan.steps]
        return family.closed


def _by_family(cells: dict[Cell, float]) -> dict[str, _Values]:
    found: dict[str, _Values] = {}
    for (name, labels, field), value in cells.items():
        if name in catalogue.FAMILIES:  # a store may know families of a newer version
            found.setdefault(name, {}).setdefault(labels, {})[field] = value
    return found


def _metric(family: Family) -> Metric:
    if family.kind == "counter":
        return CounterMetricFamily(family.name.removesuffix("_total"), family.help)
    if family.kind == "gauge":
        return GaugeMetricFamily(family.name, family.help)
    return HistogramMetricFamily(family.name, family.help)


def _filled(family: Family, values: _Values) -> Metric:
    metric = _metric(family)
    for values_of_labels in sorted(values):
        fields = values[values_of_labels]
        labels = {label: value for label, value in zip(family.all_labels, values_of_labels, strict=False) if value}
        if family.kind == "histogram":
            _add_histogram(metric, family, labels, fields)
        else:
            metric.add_sample(family.name, labels, fields.get(0, 0.0))
    return metric


def _add_histogram(metric: Metric, family: Family, labels: dict[str, str], fields: dict[int, float]) -> None:
    total = 0.0
    for index, bound in enumerate((*family.buckets, None)):
        total += fields.get(index, 0.0)
        le = "+Inf" if bound is None else repr(bound)
        metric.add_sample(f"{family.name}_bucket", {**labels, "le": le}, total)
    metric.add_sample(f"{family.name}_count", labels, total)
    metric.add_sample(f"{family.name}_sum", labels, fields.get(SUM, 0.0))


def render(collector: Collector, accept: str = "") -> tuple[bytes, str]:
    """Return the exposition and its content type, as the `Accept` header asks: text or OpenMetrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class MetricsApp:
    """An ASGI app that serves the collector; rendering runs on a thread of its own, not on the bot's event loop."""

    def __init__(self, collector: Collector, guard: Guard, token: str | None) -> None:
        self._collector = collector
        self._guard = guard
        self._expected = None if token is None else f"Bearer {token}".encode()
        self._executor: tuple[int, ThreadPoolExecutor] | None = None  # with the process that it belongs to

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer GET and HEAD; anything else gets 405, a wrong token 401 without a hint, a websocket is closed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            raise ValueError(f"chatvitals metrics answers http, not {scope['type']}")
        status, headers, body = await self._answer(scope)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _answer(self, scope: MutableMapping[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        headers: list[tuple[bytes, bytes]] = list(scope.get("headers") or ())
        plain = (b"content-type", b"text/plain; charset=utf-8")
        if scope["method"] not in {"GET", "HEAD"}:
            return 405, [plain, (b"allow", b"GET, HEAD")], b"method not allowed\n"
        if not self._allows(headers):
            return 401, [plain, (b"www-authenticate", b"Bearer")], b"unauthorized\n"
        accept = b",".join(_values(headers, b"accept")).decode("latin-1")
        try:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:  # trio: rendering is short enough to be done here
                body, content_type = render(self._collector, accept)
            else:
                body, content_type = await loop.run_in_executor(self._own_executor(), render, self._collector, accept)
        except Exception as error:  # noqa: BLE001 - a scrape must not raise into the bot's server
            self._guard.report("metrics", error)
            return 500, [plain], b"chatvitals could not render its metrics; see the log\n"
        return 200, [(b"content-type", content_type.encode())], body

    def _allows(self, headers: list[tuple[bytes, bytes]]) -> bool:
        if self._expected is None:
            return True
        given = _values(headers, b"authorization")
        return len(given) == 1 and hmac.compare_digest(given[0], self._expected)

    def _own_executor(self) -> ThreadPoolExecutor:
        if self._executor is None or self._executor[0] != os.getpid():
            self._executor = (os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="chatvitals-metrics"))
        return self._executor[1]


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
