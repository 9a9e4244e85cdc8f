"""`/metrics` as a view of the store: a Prometheus collector, and an ASGI app that serves it."""

from __future__ import annotations

import asyncio
import hmac
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from chatvitals._version import __version__
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM, Measurements
from chatvitals.quality import gauges as quality_view
from chatvitals.quality import state
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping

    from chatvitals.exporters.leader_election import LeaderElection
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Cell
    from chatvitals.pipeline.worker import Pipeline
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import Experiment
    from chatvitals.tracking.journeys import Journey

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
    reached, only own-health families are shown and `chatvitals_store_up` is 0. Without a pipeline (the exporter) it
    shows what the workers have settled. With a leadership, only who leads shows more than this process's own health.
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
        self._settings = settings
        self._store = store
        self._pipeline = pipeline
        self._guard = guard
        self._journeys = journeys
        self._leadership = leadership
        self.experiments: Mapping[str, Experiment] = {}
        """The experiments that are declared in this process."""
        self._last_own: dict[Cell, float] = {}  # own health as it was last read from the store,
        self._shown: dict[Cell, float] = {}  # and as it was last shown

    def describe(self) -> Iterable[Metric]:
        """Name the families without reading the store, so that registering is cheap and finds clashes."""
        return [_metric(family) for family in catalogue.FAMILIES.values()]

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        if self._leadership is not None and not self._leadership.ask():
            yield from _families(self._of_this_process(up=self._is_up()))
            return
        own = Measurements()
        if self._pipeline is not None:
            self._pipeline.settle()
            own = self._pipeline.own.measures()  # before the cells: a commit in between must not hide anything
        try:
            measures, read = self._read()
        except StoreUnavailableError as error:
            self._guard.report("store", message=str(error))
            yield from _families(self._without_store(own))
            return
        values = _by_family(measures.increments)
        values |= read
        self._start_at_zero(values)
        self._keep_from_falling(values)
        up = self._pipeline is None or self._pipeline.store_up
        values |= self._of_this_process(up=up)
        values[catalogue.JOURNEY_STEP_INFO.name] = {
            (journey.plan.name, step, str(index)): {0: 1.0}
            for journey in self._journeys.values()
            for index, step in enumerate(journey.plan.steps, 1)
        }
        values[catalogue.EXPERIMENT_WEIGHT.name] = {
            (plan.name, variant, str(index), plan.goal): {0: float(weight)}
            for plan in (experiment.plan for experiment in self.experiments.values())
            for index, (variant, weight) in enumerate(plan.variants.items(), 1)
        }
        values[catalogue.EXPERIMENT_PLANNED.name] = {
            (experiment.plan.name,): {0: float(experiment.plan.planned_contacts)}
            for experiment in self.experiments.values()
        }
        yield from _families(values)

    def _read(self) -> tuple[Measurements, dict[str, _Values]]:
        """Return the cells, and the gauges that are a view of marks and of what is known of the business."""
        measures = Measurements()
        cells = self._store.cells()
        self._last_own = {cell: value for cell, value in cells.items() if cell[0] in catalogue.OWN_HEALTH}
        measures.merge(cells)
        now = time.time() if self._pipeline is None else self._pipeline.clock()
        known = state.decode(self._store.document(state.DOCUMENT))
        gauges: dict[str, _Values] = {}
        for family, labels, value in quality_view.gauges(known, now, self._settings.phone_number_id):
            gauges.setdefault(family.name, {})[labels] = {0: value}
        for (name, number), at in self._store.oldest_open().items():
            if name in catalogue.FAMILIES:  # a newer version may know more marks
                gauges.setdefault(name, {})[number,] = {0: at}
        return measures, gauges

    def _without_store(self, own: Measurements) -> dict[str, _Values]:
        """Return own health alone, on top of what was last seen of it."""
        own.merge(self._last_own)
        values = {name: found for name, found in _by_family(own.increments).items() if name in catalogue.OWN_HEALTH}
        for name in catalogue.OWN_HEALTH:
            for closed in catalogue.FAMILIES[name].closed:
                values.setdefault(name, {}).setdefault(closed, {})
        self._keep_from_falling(values)
        return values | self._of_this_process(up=False)

    def _keep_from_falling(self, values: dict[str, _Values]) -> None:
        """Show own health never lower than before: what was told from memory may reach the store only later."""
        for name in catalogue.OWN_HEALTH:
            for labels, fields in values.get(name, {}).items():
                for field, value in fields.items():
                    cell = (name, labels, field)
                    fields[field] = self._shown[cell] = max(value, self._shown.get(cell, 0.0))
            for (shown, labels, field), value in self._shown.items():
                if shown == name:
                    values.setdefault(name, {}).setdefault(labels, {}).setdefault(field, value)

    def _of_this_process(self, *, up: bool) -> dict[str, _Values]:
        """Return what differs from process to process and is in no store."""
        values: dict[str, _Values] = {
            catalogue.STORE_UP.name: {(): {0: float(up)}},
            catalogue.BUILD_INFO.name: {(__version__, self._settings.app_version): {0: 1.0}},
        }
        if self._pipeline is not None:
            values[catalogue.QUEUE_EVENTS.name] = {(): {0: float(self._pipeline.waiting)}}
            values[catalogue.QUEUE_CAPACITY.name] = {(): {0: float(self._pipeline.capacity)}}
        return values

    def _is_up(self) -> bool:
        """Try the store once more: without any event since the start, the pipeline has had no reason to."""
        try:
            self._store.oldest_open()
        except StoreUnavailableError:
            return False
        return True

    def _start_at_zero(self, values: dict[str, _Values]) -> None:
        """Give counters of closed label sets their 0: `increase` does not see a series that begins above it."""
        numbers = set(self._settings.phone_number_id)
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
            return [(turn, f"{after:g}") for turn in catalogue.TURN for after in self._settings.overdue_after]
        names = [journey.plan.name for journey in self._journeys.values()]
        if family is catalogue.JOURNEY_RUNS_STARTED:
            return [(name,) for name in names]
        if family is catalogue.JOURNEY_RUNS:
            return [(name, outcome) for name in names for outcome in catalogue.RUN_OUTCOME]
        if family in _PER_STEP:
            return [(journey.plan.name, step) for journey in self._journeys.values() for step in journey.plan.steps]
        return family.closed


def families(cells: Mapping[Cell, float]) -> Iterator[Metric]:
    """Yield what a store's cells alone say, without what only a running bot knows."""
    for name, values in _by_family(cells).items():
        yield _filled(catalogue.FAMILIES[name], values)


def _families(values: dict[str, _Values]) -> Iterator[Metric]:
    for family in catalogue.FAMILIES.values():
        found = values.get(family.name)
        if found:
            yield _filled(family, found)
            if threading.active_count() > 1:
                # Lets the bot's event loop go first: who does not give way keeps it waiting for the switch interval.
                time.sleep(0)


def _by_family(cells: Mapping[Cell, float]) -> dict[str, _Values]:
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
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # prometheus_client takes some headers that are none for a version number
        encode, content_type = choose_encoder("")
    return encode(registry), content_type


def allows(token: str | None, given: list[bytes]) -> bool:
    """Return whether the `Authorization` headers of a request carry the bearer token; without one, all may look."""
    return token is None or (len(given) == 1 and hmac.compare_digest(given[0], f"Bearer {token}".encode()))


class MetricsApp:
    """An ASGI app that serves the collector; rendering runs on a thread of its own, not on the bot's event loop."""

    def __init__(self, collector: Collector, guard: ErrorGuard, token: str | None) -> None:
        self._collector = collector
        self._guard = guard
        self._token = token
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
        if not allows(self._token, _values(headers, b"authorization")):
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

    def _own_executor(self) -> ThreadPoolExecutor:
        if self._executor is None or self._executor[0] != os.getpid():
            self._executor = (os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="chatvitals-metrics"))
        return self._executor[1]


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in headers if key.lower() == name]
