"""Requests that are kept between pushes say what the SDK's own encoding says, whatever has changed since."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.resources import Resource

from chatvitals.exporters import otlp_requests
from chatvitals.exporters.opentelemetry import Interval, Part, resource_metrics
from chatvitals.exporters.otlp_requests import KeptRequest
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Exemplar

if TYPE_CHECKING:
    from chatvitals.exporters.snapshot import Exemplars, Values

SHARED, OWN = Resource({"service.instance.id": "store"}), Resource({"service.instance.id": "process"})
COUNTER, GAUGE = catalogue.TURNS, catalogue.OLDEST_OPEN_TURN
OPEN, HISTOGRAM = catalogue.TURNS_OPEN, catalogue.WAIT_SECONDS
FAMILIES = (COUNTER, GAUGE, OPEN, HISTOGRAM)


def normal(request: Any) -> dict[str, dict[str, Any]]:
    """Return what a request says, whatever the order in which it says it."""
    said: dict[str, dict[str, Any]] = {}
    for resource in request.resource_metrics:
        metrics: dict[str, Any] = {}
        for metric in resource.scope_metrics[0].metrics:
            kind = metric.WhichOneof("data")
            points = sorted(getattr(metric, kind).data_points, key=lambda point: str(point.attributes))
            shell = type(metric)()
            shell.CopyFrom(metric)
            del getattr(shell, kind).data_points[:]
            metrics[metric.name] = (shell.SerializeToString(deterministic=True), list(map(exemplars_sorted, points)))
        said[resource.resource.SerializeToString()] = metrics
    return said


def exemplars_sorted(point: Any) -> bytes:
    if hasattr(point, "exemplars"):
        ordered = sorted(point.exemplars, key=lambda exemplar: exemplar.SerializeToString())
        copy = type(point)()
        copy.CopyFrom(point)
        del copy.exemplars[:]
        copy.exemplars.extend(ordered)
        point = copy
    serialized: bytes = point.SerializeToString(deterministic=True)
    return serialized


def encoded(parts: list[Part]) -> Any:
    return encode_metrics(MetricsData(list(map(resource_metrics, parts))))


class History:
    """Snapshots of a store whose series come, change and go."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.values: dict[str, Values] = {}
        self.exemplars: dict[str, Exemplars] = {}

    def step(self) -> None:
        """Change something: nothing, values, series, families or exemplars."""
        rng = self.rng
        self.values = {name: {k: dict(v) for k, v in found.items()} for name, found in self.values.items()}
        self.exemplars = {}
        for family in rng.sample(FAMILIES, rng.randrange(len(FAMILIES) + 1)):
            found = self.values.setdefault(family.name, {})
            for _ in range(rng.randrange(4)):
                labels = (rng.choice(["11", "22", "33"]), rng.choice(["first", "next"]), *self._rest(family))
                field = rng.randrange(15) if family is HISTOGRAM else 0
                fields = found.setdefault(labels, {})
                fields[field] = fields.get(field, 0.0) + rng.randrange(1, 5)
            if rng.random() < 0.2 and found:
                del found[rng.choice(list(found))]
            if rng.random() < 0.1 or not found:
                del self.values[family.name]
        for labels in self.values.get(HISTOGRAM.name, {}):
            if rng.random() < 0.5:
                marked = Exemplar(rng.randbytes(25), rng.random(), float(rng.randrange(100)))
                self.exemplars.setdefault(HISTOGRAM.name, {})[labels] = {rng.randrange(15): marked}

    def _rest(self, family: catalogue.Family) -> tuple[str, ...]:
        return {COUNTER.name: ("answered", ""), GAUGE.name: ("",)}.get(family.name, ("",))


@pytest.mark.parametrize("delta", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_a_kept_request_says_what_a_new_one_says(seed: int, delta: bool) -> None:  # noqa: FBT001 - a case
    """Thirty pushes in a row, with two resources, of which one comes and goes."""
    history, kept = History(seed), KeptRequest()
    before: dict[str, Values] = {}
    for push in range(30):
        history.step()
        since = float(push) if delta else None
        interval = Interval(7.0, push + 1.0, since, since)
        parts = [Part(OWN, {catalogue.STORE_UP.name: {(): {0: 1.0}}}, interval, {}, {})]
        if history.rng.random() < 0.8:
            parts.insert(0, Part(SHARED, history.values, interval, before, history.exemplars))
            before = history.values
        assert normal(kept.update(parts)) == normal(encoded(parts))


def test_unchanged_series_are_not_encoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only their time is set. This is what makes a push as cheap as a scrape."""
    kept = KeptRequest()
    first: dict[str, Values] = {COUNTER.name: {("11", "first", "answered", ""): {0: 1.0}}}
    then: dict[str, Values] = {COUNTER.name: {("11", "first", "answered", ""): {0: 2.0}}}
    kept.update([Part(SHARED, first, Interval(0.0, 1.0), {}, {})])
    monkeypatch.setattr(otlp_requests, "encode_metrics", None)
    request = kept.update([Part(SHARED, then, Interval(0.0, 2.0), {}, {})])
    [point] = request.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    assert (point.as_double, point.time_unix_nano) == (2.0, 2_000_000_000)
