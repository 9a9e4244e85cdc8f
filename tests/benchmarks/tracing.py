"""What OpenTelemetry costs: the look for a trace where there is no tracer provider, and a push beside a scrape."""

from __future__ import annotations

import random
import statistics
from time import process_time
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult

from chatvitals.events import Message, Send
from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.exporters.prometheus import render
from chatvitals.runtime import spans
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals
from tests.benchmarks import apps, traffic
from tests.benchmarks.rounds import quick_half, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

_CONTACTS = 20_000


class Untraced(NamedTuple):
    """The cost of spans in a bot without a tracer provider."""

    ratio: float
    """Seconds of a webhook on the bot's path ÷ those with the tracing code cut out."""
    added: float
    """The difference in microseconds."""


def without_provider(rounds: int, each: int) -> Untraced:
    """Return what looking for a trace adds to a webhook, in interleaved rounds of one application."""
    subject = apps.with_chatvitals()
    found: dict[bool, list[float]] = {True: [], False: []}

    async def measure() -> None:
        for turn in range(2 * rounds + 2):
            deliveries = traffic.messages(turn * each, each, _CONTACTS, 200.0)
            cut = bool(turn % 2)
            with mock.patch.object(spans, "is_traced", _nothing if cut else spans.is_traced):
                seconds = await subject.deliver(deliveries)
            subject.catch_up()
            if turn > 1:  # the first two warm up
                found[cut].append(quick_half(seconds) * 1e6)

    run(measure, [subject])
    looking, cut = statistics.median(found[False]), statistics.median(found[True])
    return Untraced(looking / cut, looking - cut)


def push(numbers: int, rounds: int) -> float:
    """Return the CPU of a push ÷ that of a scrape of the same. The network is in neither.

    Args:
        numbers: how many business numbers the store knows.
        rounds: how often both are measured; between two rounds some conversations change the numbers.

    """
    clock = traffic.Clock()
    settings = Settings.load({"store": "memory:", "hooks": False, "queue_size": 1_000_000}, environ={})
    vitals = Vitals(settings, clock=clock, background=False, on_error=apps.fail)
    exporter = _Silent("http://127.0.0.1/")
    pushing = OtlpPush(vitals.collector.reader, vitals.store, vitals._guard, vitals.clock, exporter=exporter)
    rng = random.Random(7)
    ratios = []
    for turn in range(rounds + 2):
        _converse(vitals, clock, rng, numbers, 20 if turn == 0 else 3)
        scrape = _cpu(lambda: render(vitals.collector))
        pushed = _cpu(pushing.push)
        if turn > 1:
            ratios.append(pushed / scrape)
    vitals.close()
    return statistics.median(ratios)


class _Silent(OTLPMetricExporter):
    """The SDK's exporter, up to the bytes that it would send."""

    def _export_batch(self, export_request: ExportMetricsServiceRequest) -> MetricExportResult:
        export_request.SerializeToString()
        return MetricExportResult.SUCCESS


_Silent.__module__ = OTLPMetricExporter.__module__  # it is the SDK's, but for the network


def _converse(vitals: Vitals, clock: traffic.Clock, rng: random.Random, numbers: int, each: int) -> None:
    for number in range(numbers):
        for _ in range(each):
            phone, now = f"1555{rng.randrange(10_000_000):07d}", clock.now
            name = f"{number}.{phone}.{now}"
            kind = rng.choice(("text", "image", "audio"))
            vitals._emit(
                Message(phone_number_id=str(number), wa_id=phone, received=now, id=name, type=kind, timestamp=int(now))
            )
            sent = now + rng.random() * 200.0
            vitals._emit(
                Send(
                    phone_number_id=str(number), wa_id=phone, received=sent, kind="reply", accepted=True, id=f"r{name}"
                )
            )
    clock.now += 300.0
    vitals.settle()


def _cpu(call: Callable[[], object]) -> float:
    began = process_time()
    call()
    return process_time() - began


def _nothing() -> None:
    return None
