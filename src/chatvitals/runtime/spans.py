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
        phone_number_id: the business number that sends.
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


def end_send(span: Span | None, kind: str, code: str) -> None:
    """End the span of a send.

    Args:
        span: what `start_send` returned.
        kind: reply, campaign, notice or other; it is known once the answer is in.
        code: WhatsApp's error code or the kind of the transport's error; empty where the send was accepted.

    """
    if span is None:
        return
    span.set_attribute("chatvitals.kind", kind)
    if code:
        span.set_attribute("error.type", code)
        span.set_status(trace.StatusCode.ERROR)
    span.end()
