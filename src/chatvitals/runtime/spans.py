"""Spans of OpenTelemetry, only inside an existing trace. Without a tracer provider, no span is created.

No span carries an id of a person or of a message, because WhatsApp's message ids hold the phone number.
"""

from __future__ import annotations

import functools
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)

from chatvitals._version import __version__
from chatvitals.runtime.error_guard import ErrorGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_tracer = trace.get_tracer("chatvitals", __version__)  # also finds a provider that is set later
_SIZE: Final = 25  # bytes of a packed context: trace id 16, span id 8, flags 1
_NANO: Final = 1_000_000_000
_INVALID = trace.INVALID_SPAN
_runtime = getattr(otel_context, "_RUNTIME_CONTEXT", otel_context)
_variable = getattr(_runtime, "_current_context", None)
_attached: Final[Callable[[], Context]] = (
    _variable.get if isinstance(_variable, ContextVar) and _variable.get(None) is not None else _runtime.get_current
)
"""Return OpenTelemetry's current context. It is empty where nothing is traced, so it is the first thing to ask."""
_guard = ErrorGuard()  # a sampler or a span processor of the bot may raise

P = ParamSpec("P")
T = TypeVar("T")


def _fenced(function: Callable[P, T | None]) -> Callable[P, T | None]:
    """Return `function` wrapped so that it returns None and logs where the bot's provider raises."""

    @functools.wraps(function)
    def fenced(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - the guard's work, without a context manager's cost per webhook
            _guard.report("spans", error)
        return None

    return fenced


def packed(span: Span | None) -> bytes:
    """Return the context of a sampled span as 25 bytes, or empty bytes for any other span."""
    if span is None:
        return b""
    context = span.get_span_context()
    if not context.is_valid or not context.trace_flags.sampled:
        return b""
    return (
        context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big") + bytes((context.trace_flags & 0xFF,))
    )


def current() -> bytes:
    """Return the packed context of the current span, see `packed`."""
    span = get_current_span()
    return b"" if span is _INVALID else packed(span)


def is_traced() -> bool:
    """Return whether the caller runs inside a span. Without a tracer provider, this is the only cost."""
    if not _attached():  # many times as quick as asking for the span
        return False
    span = get_current_span()
    return span is not _INVALID and span.get_span_context().is_valid


def trace_id(context: bytes) -> str:
    """Return the trace id of a packed context, in the hexadecimal form of trace back ends."""
    return context[:16].hex()


def span_id(context: bytes) -> str:
    """Return the span id of a packed context in hexadecimal form."""
    return context[16:24].hex()


class ActiveSpan:
    """A span that is the current span from `enter` to `leave`. Both may be called again, and neither ever raises.

    The context is reset by value, because a token could not be reset where a coroutine is closed in another context.
    """

    __slots__ = ("_before", "span")

    def __init__(self, span: Span) -> None:
        self.span: Span = span
        self._before: Context | None = None

    def enter(self) -> None:
        """Make the span the current span."""
        if self._before is None:
            self._before = otel_context.get_current()
            otel_context.attach(set_span_in_context(self.span, self._before))

    def leave(self) -> None:
        """Restore the previous span, unless the caller runs in another context."""
        before, self._before = self._before, None
        if before is not None and get_current_span() is self.span:
            otel_context.attach(before)


@_fenced
def start_receive() -> ActiveSpan | None:
    """Return a span of a webhook as a child of the current span. Call it only if `is_traced()`."""
    return ActiveSpan(_tracer.start_span("receive", kind=SpanKind.CONSUMER, attributes=_messaging("receive", "")))


@_fenced
def end_receive(active: ActiveSpan, numbers: set[str], messages: int, result: str) -> None:
    """End the span of a webhook.

    Args:
        active: the result of `start_receive`.
        numbers: the business numbers that the webhook is about.
        messages: number of customers' messages in the webhook.
        result: result of the webhook. Anything but `accepted` is an error. Empty where the webhook was not decoded.

    """
    span = active.span
    if span.is_recording():
        if len(numbers) == 1:
            [number] = numbers
            span.update_name(f"receive {number}")
            span.set_attribute("messaging.destination.name", number)
        if result:
            span.set_attribute("messaging.batch.message_count", messages)
        if result not in {"", "accepted"}:
            span.set_attribute("error.type", result)
            span.set_status(StatusCode.ERROR)
    span.end()


@_fenced
def start_send(phone_number_id: str, template: str, inbound: bytes = b"") -> ActiveSpan | None:
    """Return a span of a send as a child of the current span, or None where nothing is traced.

    In a worker whose task queue carries no trace, it is a child of the webhook's span.

    Args:
        phone_number_id: the business number that sends.
        template: the template's name, or empty.
        inbound: the packed context of the webhook that is being answered, to which the span links.

    """
    parent: Context | None = None
    if not is_traced():
        if not inbound:
            return None
        parent = _remote(inbound)
    attributes = _messaging("send", phone_number_id)
    if template:
        attributes["chatvitals.template"] = template
    return ActiveSpan(
        _tracer.start_span(
            f"send {phone_number_id}".rstrip(),
            context=parent,
            kind=SpanKind.PRODUCER,
            attributes=attributes,
            links=_links(inbound),
        )
    )


@_fenced
def end_send(active: ActiveSpan | None, kind: str, code: str) -> None:
    """End the span of a send.

    Args:
        active: the result of `start_send`.
        kind: reply, campaign, notice or other. It is known once the answer is in.
        code: WhatsApp's error code or the kind of the transport error. It is empty for an accepted send.

    """
    if active is None:
        return
    span = active.span
    span.set_attribute("chatvitals.kind", kind)
    if code:
        span.set_attribute("error.type", code)
        span.set_status(StatusCode.ERROR)
    span.end()


@_fenced
def start_handler(handler: str, function: str) -> ActiveSpan | None:
    """Return a span of a handler's call as a child of the current span, or None where nothing is traced."""
    if not is_traced():
        return None
    attributes = {"code.function.name": function, "chatvitals.handler": handler}
    return ActiveSpan(_tracer.start_span(f"handler {handler}", attributes=attributes))


@_fenced
def end_handler(active: ActiveSpan | None, error: BaseException | None) -> None:
    """End the span of a handler. Of an error it holds only the type, since the text may hold personal data."""
    if active is None:
        return
    active.leave()
    if error is not None:
        active.span.set_attribute("error.type", type(error).__qualname__)
        active.span.set_status(StatusCode.ERROR)
    active.span.end()


@_fenced
def record_turn(parent: bytes, reply: bytes, start: float, end: float, attributes: Mapping[str, str]) -> None:
    """Create the span of a settled turn, with the turn's start and end. It is sampled if its parent was.

    Args:
        parent: the packed context of the first webhook of the turn.
        reply: the packed context of the send that answered it, or empty.
        start: Unix seconds.
        end: Unix seconds.
        attributes: attributes of the turn. Empty values are left out.

    """
    span = _tracer.start_span(
        "turn",
        context=_remote(parent),
        attributes={name: value for name, value in attributes.items() if value},
        links=_links(reply),
        start_time=int(start * _NANO),
    )
    span.end(int(max(start, end) * _NANO))


def _messaging(operation: str, phone_number_id: str) -> dict[str, str]:
    attributes = {
        "messaging.system": "whatsapp",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
    }
    if phone_number_id:
        attributes["messaging.destination.name"] = phone_number_id
    return attributes


def _remote(context: bytes) -> Context:
    return set_span_in_context(NonRecordingSpan(_unpacked(context)), otel_context.Context())


def _links(context: bytes) -> list[Link]:
    return [Link(_unpacked(context))] if context else []


def _unpacked(context: bytes) -> SpanContext:
    if len(context) != _SIZE:  # from a store that another program wrote
        return trace.INVALID_SPAN_CONTEXT
    return SpanContext(
        int.from_bytes(context[:16], "big"),
        int.from_bytes(context[16:24], "big"),
        is_remote=True,
        trace_flags=TraceFlags(context[24]),
    )
