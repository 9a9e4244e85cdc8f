"""A real Prometheus with exemplar storage finds the trace of a slow answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from starlette.applications import Starlette

from chatvitals.runtime import spans
from tests.helpers.prometheus import prometheus
from tests.helpers.recorded_events import ListeningVitals, item
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp
    from tests.helpers.tracing import Traced

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: bot
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_prometheus_stores_the_trace_of_a_slow_answer(
    tmp_path: Path, serve: Callable[[ASGIApp], int], traced: Traced
) -> None:
    """Its API answers with trace id and seconds, which is what Grafana draws over the heatmap."""
    vitals = ListeningVitals()
    app = Starlette()
    vitals.instrument_app(app, metrics_path="/metrics")
    with traced.tracer.start_as_current_span("POST /webhook") as server, vitals.receive(item(at=vitals.time())):
        vitals.later(42)
        vitals.record_reply()
    vitals.later(60)
    began = time.time()
    with prometheus(CONFIG.format(port=serve(app)), tmp_path, "--enable-feature=exemplar-storage") as running:
        between = {"start": str(began - 7 * 86_400), "end": str(began + 7 * 86_400)}
        query = "chatvitals_wait_seconds_bucket"
        found: list[Any] = until("exemplars", lambda: running.get("query_exemplars", query=query, **between))
    [series] = found
    [exemplar] = series["exemplars"]
    trace_id = trace.format_trace_id(server.get_span_context().trace_id)
    assert (exemplar["labels"]["trace_id"], float(exemplar["value"])) == (trace_id, 42.0)
    assert spans.trace_id(spans.packed(server)) == trace_id
