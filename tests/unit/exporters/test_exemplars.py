"""Exemplars in every output: the trace of a slow answer stands beside its bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics.export import Histogram
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families

from chatvitals.events import Handled, Message, Send
from chatvitals.exporters.opentelemetry import Interval, Part, resource_metrics
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from chatvitals.pipeline import exemplars
from chatvitals.runtime import spans
from chatvitals.stores.base import Changes
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals
    from tests.helpers.tracing import Traced

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
FAMILIES = ["response_seconds", "wait_seconds", "send_seconds", "handler_seconds"]


@pytest.fixture
def slow(start: Callable[..., Vitals], traced: Traced) -> Vitals:
    """A bot that answered after 42 seconds, within a trace."""
    vitals = start()
    with traced.tracer.start_as_current_span("POST /webhook") as span:
        context = spans.packed(span)
    who: dict[str, Any] = {"phone_number_id": NUMBER, "wa_id": PHONE}
    message = Message(**who, received=EPOCH, id="m1", type="text", timestamp=EPOCH)
    message.trace = context
    vitals._emit(message)
    vitals.clock.advance(42)  # type: ignore[attr-defined]
    vitals._emit(Send(**who, received=EPOCH + 42, kind="reply", accepted=True, id="r1", seconds=0.3, trace=context))
    vitals._emit(Handled(phone_number_id=NUMBER, handler="menu", seconds=0.4, result="ok", trace=context))
    vitals.settle()
    vitals.clock.advance(60)  # type: ignore[attr-defined]
    vitals.settle()
    return vitals


def found(text: str) -> dict[str, tuple[dict[str, str], float, float]]:
    """Return the exemplars of a text by the name of their family and their bound."""
    marked = {}
    for family in openmetrics_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is not None:
                exemplar = sample.exemplar
                at = float(exemplar.timestamp)
                marked[f"{family.name} {sample.labels['le']}"] = (exemplar.labels, exemplar.value, at)
    return marked


def test_openmetrics_shows_the_trace_beside_the_bucket(slow: Vitals, traced: Traced) -> None:
    """The four histograms of waiting times have exemplars."""
    context = traced.span("POST /webhook").context
    trace = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    assert found(render(slow.collector, OPENMETRICS)[0].decode()) == {
        "chatvitals_response_seconds 60.0": (trace, 42.0, EPOCH + 42.0),
        "chatvitals_wait_seconds 60.0": (trace, 42.0, EPOCH + 42.0),
        "chatvitals_send_seconds 0.5": (trace, 0.3, EPOCH + 42.0),
        "chatvitals_handler_seconds 0.5": (trace, 0.4, EPOCH + 42.0),
    }


def test_the_text_format_knows_no_exemplars(slow: Vitals) -> None:
    """Prometheus would refuse the whole page."""
    assert b"trace_id" not in render(slow.collector)[0]


def test_the_bot_s_own_registry_shows_them_too(slow: Vitals) -> None:
    """`registry.register(vitals.collector)` and our page are one."""
    registry = CollectorRegistry()
    registry.register(slow.collector)
    theirs = found(generate_latest(registry).decode())  # type: ignore[no-untyped-call]
    assert theirs == found(render(slow.collector, OPENMETRICS)[0].decode())


def test_a_new_exemplar_in_an_unchanged_series_is_shown(slow: Vitals) -> None:
    """What is kept between scrapes knows of exemplars."""
    render(slow.collector, OPENMETRICS)
    kept = exemplars.decode(slow.store.document(exemplars.DOCUMENT))
    later = {cell: type(each)(each.trace, each.value, each.at + 1.0) for cell, each in kept.items()}
    with slow.store.transaction() as transaction:
        document = exemplars._encode(list(later.items()))
        transaction.commit(Changes(documents={exemplars.DOCUMENT: document}))
    times = {at for _, _, at in found(render(slow.collector, OPENMETRICS)[0].decode()).values()}
    assert times == {EPOCH + 43.0}


def test_otlp_carries_them(slow: Vitals, traced: Traced) -> None:
    """With the ids as numbers, as the SDK has them."""
    shown = slow.collector.snapshot()
    data = resource_metrics(Part(Resource({}), shown.values, Interval(0.0, 1.0), {}, shown.exemplars))
    context = traced.span("POST /webhook").context
    carried = {}
    for metric in data.scope_metrics[0].metrics:
        if isinstance(metric.data, Histogram):
            for point in metric.data.data_points:
                for exemplar in point.exemplars:
                    assert (exemplar.trace_id, exemplar.span_id) == (context.trace_id, context.span_id)
                    carried[metric.name] = exemplar.value
    assert carried == {
        "chatvitals.response": 42.0,
        "chatvitals.wait": 42.0,
        "chatvitals.send": 0.3,
        "chatvitals.handler": 0.4,
    }


def test_a_document_that_another_version_wrote_is_left_out(slow: Vitals) -> None:
    """The numbers themselves stay."""
    with slow.store.transaction() as transaction:
        transaction.commit(Changes(documents={exemplars.DOCUMENT: b"\xc1"}))
    page = render(slow.collector, OPENMETRICS)[0].decode()
    assert "trace_id" not in page
    assert catalogue.WAIT_SECONDS.name in page
