"""Pushing over OTLP while processes die, clocks jump and endpoints hang: nothing is doubled, lost or held up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricReader, MetricsData

from chatvitals.events import Message
from chatvitals.exporters.otlp_grpc import GrpcExporter
from tests.helpers.otlp_receiver import Receiver
from tests.helpers.single_worker import NUMBER, PHONE
from tests.helpers.waiting import returned, until
from tests.integration.test_otlp import DELTA, PROCESS, busy, pusher, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.vitals import Vitals
    from tests.conftest import Swallowed
    from tests.helpers.otlp_receiver import Key

RECEIVED: Key = ("chatvitals_messages_received_total", (("phone_number_id", NUMBER), ("type", "text")))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


class Gate(MetricExporter):
    """Keeps each export until the gate opens, or does something in the middle of it."""

    def __init__(self, inner: MetricExporter | None = None, during: Callable[[], object] | None = None) -> None:
        super().__init__(preferred_temporality=DELTA)
        self.inner = inner
        self.during = during
        self.entered, self.open = threading.Event(), threading.Event()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export late."""
        self.entered.set()
        if self.during is not None:
            during, self.during = self.during, None
            during()
        elif self.inner is None:
            self.open.wait(600)
        return MetricExportResult.SUCCESS if self.inner is None else self.inner.export(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Do nothing."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End."""


def told(receiver: Receiver, key: Key) -> float:
    """Return the sum of all differences that arrived."""
    return sum(
        point.value
        for request in range(len(receiver.requests))
        for point in receiver.points(request)
        if point.key == key
    )


BOT = textwrap.dedent(
    """
    import sys, time
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    import chatvitals
    from chatvitals.events import Message
    vitals = chatvitals.init(store=sys.argv[1], hooks=False, app_secret="s")
    for index in range(5):
        message = Message(phone_number_id=sys.argv[3], wa_id="1", received=time.time(), id=f"a{index}", type="text")
        message.timestamp = int(time.time())
        vitals._emit(message)
    vitals.settle(60)
    vitals.export_otlp(OTLPMetricExporter(sys.argv[2]), interval=1)
    time.sleep(600)
    """
)


def test_after_a_kill_another_process_goes_on_without_a_falling_counter(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """The lease of the dead ends. What it pushed last is a lower bound of what the next one pushes."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    with subprocess.Popen([sys.executable, "-c", BOT, store, receiver.url, NUMBER]) as bot:
        until("a push", lambda: any(RECEIVED in receiver.samples(index) for index in range(len(receiver.requests))))
        bot.send_signal(signal.SIGKILL)
        bot.wait(60)
    before = receiver.samples()
    vitals = start(store=store)
    vitals.clock.now = time.time() + 61.0  # type: ignore[attr-defined]
    message = Message(phone_number_id=NUMBER, wa_id=PHONE, received=vitals.clock(), id="b1", type="text")
    message.timestamp = int(vitals.clock())
    vitals._emit(message)
    vitals.settle()
    assert pusher(vitals, OTLPMetricExporter(receiver.url)).push()
    after = receiver.samples()
    assert (before[RECEIVED], after[RECEIVED]) == (5, 6)
    fallen = [
        key
        for key, value in before.items()
        if key[0].endswith(("_total", "_bucket", "_count", "_sum")) and key[0] not in PROCESS and after[key] < value
    ]
    assert fallen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_an_endpoint_that_redirects_has_accepted_nothing(
    status: int, start: Callable[..., Vitals], receiver: Receiver, swallowed: Swallowed
) -> None:
    """As http:// does where only https:// is served. The SDK calls it a success, and differences would be lost."""
    vitals = start()
    push = pusher(vitals, OTLPMetricExporter(receiver.url, preferred_temporality=DELTA))
    busy(vitals, "m0")
    receiver.redirect = status
    assert not push.push()
    swallowed.take("otlp")
    receiver.redirect = 0
    busy(vitals, "m1")
    assert push.push()
    assert told(receiver, RECEIVED) == 2


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>Log in</p>", b"  <html></html>"])
def test_an_endpoint_that_answers_with_a_web_page_has_accepted_nothing(
    body: bytes, start: Callable[..., Vitals], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """As a login page or a proxy does with status 200. Differences would be lost."""
    vitals = start()
    push = pusher(vitals, OTLPMetricExporter(receiver.url, preferred_temporality=DELTA))
    busy(vitals, "m0")
    receiver.page = body
    assert not push.push()
    assert "the endpoint answers with a web page" in caplog.text
    receiver.page = b""
    busy(vitals, "m1")
    assert push.push()
    assert told(receiver, RECEIVED) == 2


@pytest.mark.parametrize(
    ("kind", "rejected", "lost"),
    [
        ("http", 3, "3 points"),
        ("http", 1, "1 point"),
        ("grpc", 3, "3 points"),
    ],
)
def test_points_that_an_endpoint_rejects_are_counted_and_told(
    kind: str,
    rejected: int,
    lost: str,
    start: Callable[..., Vitals],
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A partial success must not be sent again. So it counts as accepted, and each one as an error."""
    vitals = start()
    exporter: MetricExporter = OTLPMetricExporter(receiver.url, preferred_temporality=DELTA)
    if kind == "grpc":
        exporter = GrpcExporter(receiver.grpc_address, insecure=True, preferred_temporality=DELTA)
    push = pusher(vitals, exporter)
    receiver.rejected, receiver.reason = rejected, "too many\nlabels"
    busy(vitals, "m0")
    assert push.push()
    assert f"rejected {lost} of a push for good: 'too many labels'" in caplog.text
    receiver.rejected, receiver.reason = 0, ""
    busy(vitals, "m1")
    assert push.push()
    assert told(receiver, RECEIVED) == 2
    assert shown(vitals)["chatvitals_internal_errors_total", (("where", "otlp"),)] == 1


def test_a_warning_of_an_endpoint_that_accepts_everything_is_said_once(
    start: Callable[..., Vitals], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no error."""
    vitals = start()
    push = pusher(vitals, OTLPMetricExporter(receiver.url))
    receiver.reason = "use delta"
    busy(vitals, "m0")
    assert push.push()
    assert push.push()
    assert caplog.text.count("accepts the metrics and warns: 'use delta'") == 1
    assert ("chatvitals_internal_errors_total", (("where", "otlp"),)) not in shown(vitals)


def test_two_leaseholders_after_a_clock_jump_tell_nothing_twice(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """One host's clock is an hour ahead, so both believe in their lease. One even pushes amid the other's push."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    one, two = start(store=store), start(store=store)
    two.clock.advance(3600)  # type: ignore[attr-defined]

    def exporter() -> OTLPMetricExporter:
        return OTLPMetricExporter(receiver.url, preferred_temporality=DELTA)

    second = pusher(two, exporter())
    first = pusher(one, Gate(exporter(), during=second.push))
    busy(one, "m0")
    assert first.push()  # the other one pushes meanwhile
    assert told(receiver, RECEIVED) == 1
    for turn in range(3):
        busy(one, f"m{turn + 1}")
        assert second.push()
        assert first.push()
    assert told(receiver, RECEIVED) == 4
    assert shown(one)[RECEIVED] == 4


def test_a_push_that_hangs_holds_up_neither_the_bot_s_end_nor_the_others(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """Its lease ends. When it comes back, it has nothing to say any more."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    one, two = start(store=store), start(store=store)
    busy(one)
    hung = Gate()
    one.export_otlp(hung, interval=3600)
    assert one._otlp is not None
    one._otlp._stop.set()  # the last push, which comes at the end
    assert hung.entered.wait(60)
    returned(one.close)
    assert not hung.open.is_set()
    two.clock.advance(one.clock() - two.clock() + 61)  # type: ignore[attr-defined]
    busy(two, "m2")
    second = pusher(two, OTLPMetricExporter(receiver.url, preferred_temporality=DELTA))
    assert second.push()  # it sees the claim of the one that hangs,
    assert second.push()  # and takes it: nothing has come of it since
    assert told(receiver, RECEIVED) == 2
    hung.open.set()
    assert one._otlp._thread is not None
    one._otlp._thread.join(60)
    busy(two, "m3")
    assert second.push()
    assert told(receiver, RECEIVED) == 3


def test_wrong_credentials_are_counted_and_said_once(
    start: Callable[..., Vitals], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """The sentence names the variable. The right ones work without a restart of the others."""
    receiver.token = "right"
    vitals = start()
    push = pusher(vitals, OTLPMetricExporter(receiver.url, headers={"Authorization": "Bearer wrong"}))
    assert not push.push()
    assert not push.push()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("chatvitals")]
    assert len([line for line in said if "the endpoint did not accept metrics" in line]) == 1
    assert "OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS" in "".join(said)
    vitals.settle()
    assert shown(vitals)["chatvitals_internal_errors_total", (("where", "otlp"),)] == 2
    assert pusher(vitals, OTLPMetricExporter(receiver.url, headers={"Authorization": "Bearer right"})).push()


def test_a_forked_child_pushes_with_a_name_of_its_own(start: Callable[..., Vitals], receiver: Receiver) -> None:
    """Neither the thread nor the lease nor the connection of the parent is the child's."""
    vitals = start()
    push = pusher(vitals, None)
    holder, instance = push._holder, push._instance
    child = os.fork()
    if not child:
        began_anew = push._thread is None and push._exporter is None and not push._leads
        os._exit(0 if began_anew and push._holder != holder and push._instance != instance else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (push._holder, push._instance) == (holder, instance)


def test_a_new_store_is_told_whole_and_a_restored_one_is_not_told_twice(
    start: Callable[..., Vitals], receiver: Receiver, tmp_path: Path
) -> None:
    """The store's id tells the two apart."""
    store = tmp_path / "store.db"
    vitals = start(store=f"sqlite:///{store}")
    push = pusher(vitals, OTLPMetricExporter(receiver.url, preferred_temporality=DELTA))
    busy(vitals)
    assert push.push()
    vitals.store.close()
    kept = store.read_bytes()
    busy(vitals, "m2")
    assert push.push()
    vitals.store.close()
    store.write_bytes(kept)  # a backup of before
    busy(vitals, "m3")
    assert push.push()
    assert told(receiver, RECEIVED) == 3


class PrometheusMetricReader(MetricReader):
    """Stands for the reader of the package opentelemetry-exporter-prometheus."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        """Do nothing."""

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End."""


def test_a_prometheus_reader_beside_our_collector_is_refused(start: Callable[..., Vitals]) -> None:
    """Both would show the same numbers on one registry, and Prometheus refuses a page that names a series twice."""
    with pytest.raises(TypeError, match=r"the same numbers twice.*registry\.register\(vitals\.collector\)"):
        start().export_otlp(PrometheusMetricReader())  # type: ignore[arg-type]
