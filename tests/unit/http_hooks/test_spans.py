"""Spans of sends: children of what is traced, silent without it, and never about a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chatvitals.runtime import spans
from tests.helpers.single_worker import NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

URL = f"https://graph.facebook.com/v26.0/{NUMBER}/messages"
BODY = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "secret words"}}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> tuple[TracerProvider, InMemorySpanExporter]:
    """A provider of this test alone: the global one can be set once in a process only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(spans, "_tracer", provider.get_tracer("chatvitals"))
    return provider, exporter


def send(vitals: Vitals, status: int = 200, answer: dict[str, Any] | None = None) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=answer or {"messages": [{"id": "wamid.HBg"}]})

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        vitals.instrument_client(client)
        client.post(URL, json=BODY)


def test_a_send_is_a_child_of_what_is_traced(
    start: Callable[..., Vitals], traced: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    """A trace of a request shows when the bot answered."""
    provider, exporter = traced
    with provider.get_tracer("bot").start_as_current_span("POST /webhook") as server:
        send(start())
    span, parent = exporter.get_finished_spans()
    assert (span.name, span.kind, parent.name) == (f"send {NUMBER}", SpanKind.PRODUCER, "POST /webhook")
    assert span.parent is not None
    assert span.parent.span_id == server.get_span_context().span_id
    assert dict(span.attributes or {}) == {
        "messaging.system": "whatsapp",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": NUMBER,
        "chatvitals.kind": "reply",
    }


def test_a_refused_send_has_meta_s_code(
    start: Callable[..., Vitals], traced: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    """`error.type` is the code on which alerts are about."""
    provider, exporter = traced
    with provider.get_tracer("bot").start_as_current_span("POST /webhook"):
        send(start(), 400, {"error": {"code": 131047, "message": "Re-engagement message"}})
    span = exporter.get_finished_spans()[0]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "131047"


def test_no_span_tells_of_a_person(
    start: Callable[..., Vitals], traced: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    """Neither phone number nor message id nor text."""
    provider, exporter = traced
    with provider.get_tracer("bot").start_as_current_span("POST /webhook"):
        send(start())
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert not [word for word in (PHONE, "wamid", "secret") if word in told]


def test_outside_of_any_trace_no_span_is_made(
    start: Callable[..., Vitals], traced: tuple[TracerProvider, InMemorySpanExporter]
) -> None:
    """A bot that traces nothing gets no traces of one span each."""
    send(start())
    assert traced[1].get_finished_spans() == ()
