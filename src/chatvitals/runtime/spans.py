"""Spans of OpenTelemetry, only inside a span that is there already: without a tracer provider nothing is made.

No span carries an id of a person or of a message: WhatsApp's message ids hold the phone number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

from chatvitals._version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_tracer = trace.get_tracer("chatvitals", __version__)  # also finds a provider that is set later


def start_send(phone_number_id: str, template: str) -> Span | None:
    """Return a span of a send, a child of the current one; None where nothing is traced.

    Args:
        phone_number_id: the business number that sends, as far as the address names it.
        template: the template's name, or empty.

    """
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    attributes = {
        "messaging.system": "whatsapp",
        "messaging.operation.type": "send",
        "messaging.operation.name": "send",
        "messaging.destination.name": phone_number_id,
    }
    if template:
        attributes["chatvitals.template"] = template
    return _tracer.start_span(f"send {phone_number_id}".rstrip(), kind=trace.SpanKind.PRODUCER, attributes=attributes)


def end_send(span: Span | None, phone_number_id: str, kind: str, code: str) -> None:
    """End the span of a send.

    Args:
        span: what `start_send` returned.
        phone_number_id: the business number that sent.
        kind: reply, campaign, notice or other; only the answer names the recipient for certain.
        code: WhatsApp's error code or the kind of the transport's error; empty where the send was accepted.

    """
    if span is None:
        return
    span.set_attribute("messaging.destination.name", phone_number_id)
    span.set_attribute("chatvitals.kind", kind)
    span.update_name(f"send {phone_number_id}".rstrip())
    if code:
        span.set_attribute("error.type", code)
        span.set_status(trace.StatusCode.ERROR)
    span.end()
