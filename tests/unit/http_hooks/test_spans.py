"""Spans of sends: children of what is traced, silent without it, and never about a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from chatvitals import context
from chatvitals.context import ContactIds, Handling
from chatvitals.runtime import spans
from tests.helpers.single_worker import NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals
    from tests.helpers.tracing import Traced

URL = f"https://graph.facebook.com/v26.0/{NUMBER}/messages"
BODY = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "secret words"}}


def send(vitals: Vitals, status: int = 200, answer: dict[str, Any] | None = None) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, json=answer or {"messages": [{"id": "wamid.HBg"}]})

    with httpx.Client(transport=httpx.MockTransport(respond)) as client:
        vitals.instrument_client(client)
        client.post(URL, json=BODY)


def test_a_send_is_a_child_of_what_is_traced(start: Callable[..., Vitals], traced: Traced) -> None:
    """A trace of a request shows when the bot answered."""
    with traced.tracer.start_as_current_span("POST /webhook") as server:
        send(start())
    span, parent = traced.spans
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


def test_a_refused_send_has_meta_s_code(start: Callable[..., Vitals], traced: Traced) -> None:
    """`error.type` is the code on which alerts are about."""
    with traced.tracer.start_as_current_span("POST /webhook"):
        send(start(), 400, {"error": {"code": 131047, "message": "Re-engagement message"}})
    span = traced.spans[0]
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "131047"


def test_no_span_tells_of_a_person(start: Callable[..., Vitals], traced: Traced) -> None:
    """Neither phone number nor message id nor text."""
    with traced.tracer.start_as_current_span("POST /webhook"):
        send(start())
    told = "".join(span.to_json() for span in traced.spans)
    assert not [word for word in (PHONE, "wamid", "secret") if word in told]


def test_outside_of_any_trace_no_span_is_made(start: Callable[..., Vitals], traced: Traced) -> None:
    """A bot that traces nothing gets no traces of one span each."""
    send(start())
    assert traced.spans == ()


def test_the_client_s_own_span_is_a_child_of_the_send(start: Callable[..., Vitals], traced: Traced) -> None:
    """As instrumentations of HTTP clients make it, below or above our hook."""
    seen: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(get_current_span().get_span_context().span_id)
        return httpx.Response(200, json={"messages": [{"id": "wamid.HBg"}]})

    with traced.tracer.start_as_current_span("POST /webhook") as server:
        with httpx.Client(transport=httpx.MockTransport(respond)) as client:
            start().instrument_client(client)
            client.post(URL, json=BODY)
        assert get_current_span() is server
    assert seen == [traced.span(f"send {NUMBER}").context.span_id]


def test_a_send_links_to_the_webhook_that_it_answers(start: Callable[..., Vitals], traced: Traced) -> None:
    """A worker that has a trace of its own still leads back to the customer's message."""
    with traced.tracer.start_as_current_span("POST /webhook") as webhook:
        pass
    handling = Handling((ContactIds(NUMBER, PHONE, ""),), spans.packed(webhook))
    with context.bound(handling), traced.tracer.start_as_current_span("task"):
        send(start())
    [link] = traced.span(f"send {NUMBER}").links
    assert link.context.span_id == webhook.get_span_context().span_id


def test_a_worker_without_a_trace_joins_the_webhook_s(start: Callable[..., Vitals], traced: Traced) -> None:
    """A task queue may carry no trace. The contact's header does."""
    with traced.tracer.start_as_current_span("POST /webhook") as webhook:
        pass
    with context.bound(Handling((ContactIds(NUMBER, PHONE, ""),), spans.packed(webhook))):
        send(start())
    parent = traced.span(f"send {NUMBER}").parent
    assert parent is not None
    assert parent.span_id == webhook.get_span_context().span_id
