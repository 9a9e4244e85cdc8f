"""Traces in the memory of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, Span


class Traced:
    """A provider of one test alone, since the global one can be set once in a process only."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.live: dict[str, Span] = {}
        """Ended spans by name, as they lived."""
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.provider.add_span_processor(_Keep(self.live))
        self.tracer = self.provider.get_tracer("bot")

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All spans that have ended, in order."""
        return self._exporter.get_finished_spans()

    def span(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, [span.name for span in self.spans]
        return found[0]

    def told(self) -> str:
        """Return all that the spans tell."""
        return "".join(span.to_json() for span in self.spans)


class _Keep(SpanProcessor):
    def __init__(self, kept: dict[str, Span]) -> None:
        self._kept = kept
        self._started: dict[int, Span] = {}

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Keep the span for its end."""
        self._started[span.get_span_context().span_id] = span

    def on_end(self, span: ReadableSpan) -> None:
        """Keep the span under its last name."""
        self._kept[span.name] = self._started[span.context.span_id]
