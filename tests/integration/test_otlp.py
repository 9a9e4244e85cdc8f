"""Metrics over OTLP against a loopback endpoint: the numbers of `/metrics`, pushed by one process, never falling."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Counter, Histogram
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from prometheus_client.parser import text_string_to_metric_families as text_families

from chatvitals.events import Message, Send
from chatvitals.exporters.leader_election import LeaderElection
from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from tests.helpers.otlp_receiver import Receiver
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.vitals import Vitals
    from tests.conftest import Swallowed
    from tests.helpers.otlp_receiver import Key

DELTA: dict[type, AggregationTemporality] = {
    Counter: AggregationTemporality.DELTA,
    Histogram: AggregationTemporality.DELTA,
}
PROCESS = {name for name, family in catalogue.FAMILIES.items() if family.scope == "process"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def pusher(vitals: Vitals, exporter: MetricExporter | None, **given: Any) -> OtlpPush:
    """Return what `export_otlp` starts, without its thread."""
    return OtlpPush(vitals.collector.reader, vitals.store, vitals._guard, vitals.clock, exporter=exporter, **given)


def shown(vitals: Vitals) -> dict[Key, float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_families(render(vitals.collector)[0].decode())
        for sample in family.samples
    }


def busy(vitals: Vitals, name: str = "m1") -> None:
    """Let a customer write and the bot answer."""
    now = vitals.clock()
    who: dict[str, Any] = {"phone_number_id": NUMBER, "wa_id": PHONE}
    vitals._emit(Message(**who, received=now, id=name, type="text", timestamp=int(now)))
    vitals._emit(Send(**who, received=now + 3.0, kind="reply", accepted=True, id=f"r{name}", seconds=0.2))
    vitals.clock.advance(40)  # type: ignore[attr-defined]
    vitals.settle()


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("state", ["fresh", "busy"])
def test_all_samples_of_metrics_arrive_equal(
    start: Callable[..., Vitals], receiver: Receiver, protocol: str, state: str
) -> None:
    """Through the real exporters, protobuf and the mapping to Prometheus's names."""
    vitals = start(phone_number_id="11", app_version="7")
    vitals.journey("order", ["menu", "paid"])
    if state == "busy":
        busy(vitals)
    exporter: MetricExporter = (
        OTLPMetricExporter(receiver.url) if protocol == "http" else GrpcExporter(receiver.grpc_address, insecure=True)
    )
    vitals.settle()
    push = pusher(vitals, exporter)
    assert push.push()
    arrived, seen = receiver.samples(), shown(vitals)
    commits = {
        key for key in arrived | seen if key[0].startswith("chatvitals_store_commit_seconds")
    }  # each read is one
    assert {k: v for k, v in arrived.items() if k not in commits} == {k: v for k, v in seen.items() if k not in commits}
    exporter.shutdown()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_variables_choose_the_exporter_and_a_second_push_is_as_right(
    start: Callable[..., Vitals], receiver: Receiver, monkeypatch: pytest.MonkeyPatch, protocol: str
) -> None:
    """The second request is the first one, brought up to date."""
    endpoint = f"http://{receiver.grpc_address}" if protocol == "grpc" else receiver.address
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    vitals = start(phone_number_id="11")
    push = pusher(vitals, None)
    assert push.push()
    busy(vitals)
    assert push.push()
    arrived, seen = receiver.samples(), shown(vitals)
    varying = {key for key in arrived | seen if key[0].startswith("chatvitals_store_commit_seconds")}
    assert {k: v for k, v in arrived.items() if k not in varying} == {k: v for k, v in seen.items() if k not in varying}


def test_points_count_since_the_store_began_and_belong_to_the_store(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """A restart or a takeover is no new stream: same start, same instance. Own health has one for each process."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    vitals = start(store=store, phone_number_id="11")
    exporter = OTLPMetricExporter(receiver.url)
    assert pusher(vitals, exporter).push()
    vitals.clock.advance(3600)  # type: ignore[attr-defined]
    assert pusher(vitals, exporter).push()
    shared = [
        {(p.start, p.instance) for p in receiver.points(i) if p.key[0] not in PROCESS and p.start} for i in (0, 1)
    ]
    assert shared[0] == shared[1]
    [(since, instance)] = shared[0]
    assert since == EPOCH
    own = [{p.instance for p in receiver.points(i) if p.key[0] in PROCESS} for i in (0, 1)]
    assert len(own[0] | own[1] | {instance}) == 3


def test_of_two_processes_one_pushes_and_the_other_takes_over(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """The first is killed. A minute later the second pushes, and no counter falls."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    one, two = start(store=store), start(store=store)
    busy(one)
    two.clock.advance(one.clock() - two.clock())  # type: ignore[attr-defined]
    first, second = (pusher(vitals, OTLPMetricExporter(receiver.url)) for vitals in (one, two))
    assert first.push()
    assert second.push()
    assert {name for name, _ in receiver.samples(0)} > PROCESS
    assert {name for name, _ in receiver.samples(1)} == PROCESS
    two.clock.advance(61)  # type: ignore[attr-defined]
    busy(two, "m2")
    assert second.push()
    before, after = receiver.samples(0), receiver.samples(2)
    for key, value in before.items():
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")):
            assert after[key] >= value, key
    received = ("chatvitals_messages_received_total", (("phone_number_id", NUMBER), ("type", "text")))
    assert (before[received], after[received]) == (1, 2)


def test_differences_add_up_over_a_takeover_and_an_endpoint_that_was_away(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path, swallowed: Swallowed
) -> None:
    """The last pushed values lie in the store: nothing is doubled and nothing lost."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    one, two = start(store=store), start(store=store)
    first, second = (
        pusher(vitals, OTLPMetricExporter(receiver.url, preferred_temporality=DELTA, timeout=60))
        for vitals in (one, two)
    )
    busy(one)
    assert first.push()
    busy(one, "m2")
    receiver.fail = True
    assert not first.push()
    receiver.fail = False
    busy(one, "m3")
    assert first.push()
    two.clock.advance(one.clock() - two.clock() + 61)  # type: ignore[attr-defined]
    busy(two, "m4")
    assert second.push()
    total: dict[Key, float] = {}
    for request in range(len(receiver.requests)):
        for point in receiver.points(request):
            total[point.key] = total.get(point.key, 0.0) + point.value
    for key, value in shown(two).items():
        if key[0].endswith(("_total", "_bucket", "_count")) and "commit" not in key[0] and "errors" not in key[0]:
            assert total[key] == value, key
    received = ("chatvitals_messages_received_total", (("phone_number_id", NUMBER), ("type", "text")))
    assert total[received] == 4
    starts = [{p.start for p in receiver.points(i) if p.key == received} for i in range(3)]
    assert starts == [{EPOCH + 40}, {EPOCH + 40}, {EPOCH + 120}]  # the store began with the first commit


def test_while_the_store_is_away_own_health_is_pushed(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """As `/metrics` shows it: `store_up` 0, and counters of health not lower than before."""
    (tmp_path / "home").mkdir()
    vitals = start(store=f"sqlite:///{tmp_path / 'home' / 'store.db'}", phone_number_id="11")
    push = pusher(vitals, OTLPMetricExporter(receiver.url))
    assert push.push()
    (tmp_path / "home").rename(tmp_path / "away")
    assert push.push()
    arrived = receiver.samples()
    assert arrived["chatvitals_store_up", ()] == 0
    seen = shown(vitals)
    assert arrived.keys() == seen.keys()
    errors = "chatvitals_internal_errors_total"  # each look at the store that is away is one more
    assert {k: v for k, v in arrived.items() if k[0] != errors} == {k: v for k, v in seen.items() if k[0] != errors}


def test_a_process_that_does_not_lead_pushes_what_its_page_shows(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """With `expose="leader"`, both outputs of the other hosts show their own health alone."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    leader, other = start(store=store, expose="leader"), start(store=store, expose="leader")
    busy(leader)
    LeaderElection(leader.store, leader.clock, "another host").ask()
    assert pusher(leader, OTLPMetricExporter(receiver.url)).push()
    assert pusher(other, OTLPMetricExporter(receiver.url)).push()
    assert receiver.samples() == shown(other)


def test_the_exporter_pushes_what_the_workers_have_counted(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """`chatvitals exporter --otlp` holds the lease, and the bot pushes nothing."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    vitals = start(store=store)
    busy(vitals)
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": receiver.url}
    command = [sys.executable, "-m", "chatvitals", "exporter", "--store", store, "--port", "0", "--otlp"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b"/metrics" in process.stdout.readline()
        process.terminate()
        assert process.wait(60) == 0
    received = ("chatvitals_messages_received_total", (("phone_number_id", NUMBER), ("type", "text")))
    assert receiver.samples()[received] == 1


# What can go wrong


class Broken(MetricExporter):
    """Raises, or says no."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__()
        self.error = error

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Fail."""
        if self.error is not None:
            raise self.error
        return MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End."""


@pytest.mark.parametrize("error", [None, RuntimeError("no"), ValueError("x")])
def test_an_exporter_that_fails_is_counted(
    start: Callable[..., Vitals], swallowed: Swallowed, error: Exception | None
) -> None:
    """The bot does not notice. `internal_errors_total` does."""
    vitals = start()
    push = pusher(vitals, Broken(error))
    assert not push.push()
    assert not push.push()
    assert len(swallowed.take("otlp")) == (2 if error else 0)
    vitals.settle()
    assert shown(vitals)["chatvitals_internal_errors_total", (("where", "otlp"),)] == 2


def test_a_reader_in_place_of_an_exporter_is_refused(start: Callable[..., Vitals]) -> None:
    """The same numbers twice on one registry would clash."""
    with pytest.raises(TypeError, match=r"takes a MetricExporter, not InMemoryMetricReader.*vitals.metrics_app"):
        start().export_otlp(InMemoryMetricReader())  # type: ignore[arg-type]


@pytest.mark.parametrize("interval", [0, -1, 3601, True, "60"])
def test_an_interval_that_is_none_is_refused(start: Callable[..., Vitals], interval: Any) -> None:
    """A sentence names the allowed values."""
    with pytest.raises(ValueError, match="interval must be a number of seconds from 1 to 3600"):
        start().export_otlp(Broken(None), interval=interval)


def test_pushing_twice_is_refused(start: Callable[..., Vitals]) -> None:
    """It would double nothing, but one of the two would never push."""
    vitals = start()
    vitals.export_otlp(Broken(None), interval=3600)
    with pytest.raises(ValueError, match="pushed already"):
        vitals.export_otlp(Broken(None))
    vitals._otlp._closed = True  # type: ignore[union-attr]


def test_without_the_sdk_a_sentence_names_the_extra(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, not after a minute in a thread."""
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter")):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match=r"chatvitals\[otel\]"):
        start().export_otlp()


def test_a_disabled_sdk_starts_nothing(start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_SDK_DISABLED` is the standard's switch."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "True")
    vitals = start()
    vitals.export_otlp()
    assert vitals._otlp is not None
    assert vitals._otlp._thread is None


def test_closing_pushes_a_last_time(start: Callable[..., Vitals], receiver: Receiver) -> None:
    """The thread ends, and the last minute is not lost."""
    vitals = start()
    vitals.export_otlp(OTLPMetricExporter(receiver.url), interval=3600)
    vitals.close()
    assert vitals._otlp is not None
    assert vitals._otlp._thread is not None
    vitals._otlp._thread.join(60)
    assert len(receiver.requests) == 1
