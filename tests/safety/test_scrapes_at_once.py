"""Scrapes in both formats, pushes and a host's registry at once, on real threads, while the store changes."""

from __future__ import annotations

import gzip
import re
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from prometheus_client import CollectorRegistry

from chatvitals.exporters.http_server import Handler, Server
from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.exporters.prometheus import VitalsCollector
from chatvitals.metrics import catalogue
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.stores.base import Changes
from chatvitals.stores.birth import record_birth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store

NUMBERS = [str(index) for index in range(20)]
CELLS: list[Cell] = [
    cell
    for number in NUMBERS
    for cell in (
        (catalogue.TURNS_OPENED.name, (number, "first", ""), 0),
        (catalogue.MESSAGES_RECEIVED.name, (number, "text"), 0),
    )
]
COUNTED = (catalogue.TURNS_OPENED.name, catalogue.MESSAGES_RECEIVED.name)
SHOWN = re.compile('="(first|text)"').search
ROUNDS = 5
OPENMETRICS = "application/openmetrics-text"


@pytest.fixture
def _often() -> Iterator[None]:
    """Let threads switch often, so that they meet in many places."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.00001)
    yield
    sys.setswitchinterval(before)


@contextmanager
def served(collector: VitalsCollector, guard: ErrorGuard) -> Iterator[str]:
    """Serve the metrics as `chatvitals exporter` does, with a thread per connection."""
    server = Server(("127.0.0.1", 0), Handler)
    server.guard, server.collector, server.token = guard, collector, None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def counting(store: Store) -> Iterator[None]:
    """Count a turn and a message of every number in each commit, until the block ends."""
    done = threading.Event()

    def count() -> None:
        while True:
            with store.transaction() as transaction:
                transaction.commit(Changes(increments=dict.fromkeys(CELLS, 1.0)))
            if done.wait(0.001):
                return

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


class Kept(MetricExporter):
    """An exporter that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.pushed: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        """Keep it."""
        self.pushed.append(metrics_data)
        return MetricExportResult.SUCCESS

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing."""
        return True


def scraped(url: str, accept: str, encoding: str) -> float:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers={"Accept": accept, "Accept-Encoding": encoding})
    with opener.open(request, timeout=60) as answer:
        body = answer.read()
    text = (gzip.decompress(body) if encoding == "gzip" else body).decode()
    assert text.endswith("# EOF\n") == (accept == OPENMETRICS)
    return amount(float(line.split()[1]) for line in text.splitlines() if line.startswith(COUNTED) and SHOWN(line))


def collected(registry: CollectorRegistry) -> float:
    samples = [sample for family in registry.collect() for sample in family.samples]
    return amount(
        sample.value for sample in samples if sample.name in COUNTED and {"first", "text"} & set(sample.labels.values())
    )


def amount(values: Iterable[float]) -> float:
    """Return the one amount that all numbers have in both families."""
    found = list(values)
    assert len(found) == len(CELLS)
    [value] = set(found)
    return value


def pushed(push: OtlpPush, kept: Kept) -> float:
    assert push.push()
    return amount(
        getattr(point, "value", 0.0)
        for resource in kept.pushed[-1].resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name in {"chatvitals.turns_opened", "chatvitals.messages_received"}
        for point in metric.data.data_points
        if {"first", "text"} & set((point.attributes or {}).values())
    )


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize("store_url", ["memory", "sqlite", "redis"], indirect=True)
def test_whatever_comes_at_once_each_answer_is_whole(store_url: str) -> None:
    """Each answer holds all series as of one time, and no later answer of a scraper is older."""
    store, guard = open_store(store_url), ErrorGuard()
    record_birth(store, 1.7e9)
    with store.transaction() as transaction:
        transaction.commit(Changes(increments=dict.fromkeys(CELLS, 1.0)))
    collector = VitalsCollector(Settings.load({"store": store_url}, environ={}), store, None, guard, {})
    registry, kept = CollectorRegistry(), Kept()
    registry.register(collector)
    push = OtlpPush(collector.reader, store, guard, lambda: 1.8e9, exporter=kept)

    def again(ask: Callable[..., float], *arguments: Any) -> list[float]:
        return [ask(*arguments) for _ in range(ROUNDS)]

    with served(collector, guard) as url, counting(store), ThreadPoolExecutor(10) as threads:
        asked = [
            threads.submit(again, scraped, url, accept, encoding)
            for accept in (OPENMETRICS, "text/plain")
            for encoding in ("gzip", "identity")
            for _ in range(2)
        ]
        asked += [threads.submit(again, collected, registry), threads.submit(again, pushed, push, kept)]
        answers = [each.result() for each in asked]
    store.close()
    assert all(earlier <= later for found in answers for earlier, later in pairwise(found))
    assert not guard.drain()
