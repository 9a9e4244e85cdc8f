"""The example `otel_bot.py` runs as it stands, and its numbers and traces reach an OTLP endpoint."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from tests.conftest import SECRET, sign, webhook_body
from tests.helpers import services
from tests.helpers.otlp_receiver import Receiver, spans
from tests.helpers.stand_in import accepts_all
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.asgi import ASGIApp

EXAMPLES = Path(__file__).parents[2] / "examples"
COLLECTOR: dict[str, Any] = yaml.safe_load((EXAMPLES / "deploy/otel-collector.yaml").read_text())


def test_numbers_and_traces_of_the_example_arrive(serve: Callable[[ASGIApp], int], tmp_path: Path) -> None:
    """One message in, one answer out: a counted message, and a trace from the request to the send."""
    port = services.free_port()
    with Receiver() as receiver:
        environ = {
            **os.environ,
            "CHATVITALS_STORE": f"sqlite:///{tmp_path / 'store.db'}",
            "GRAPH_URL": f"http://127.0.0.1:{serve(accepts_all)}",
            "NO_PROXY": "127.0.0.1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address,
            "OTEL_SERVICE_NAME": "echo-bot",
            "PORT": str(port),
            "PUSH_EVERY_SECONDS": "1",
            "WHATSAPP_ACCESS_TOKEN": "token",
            "WHATSAPP_APP_SECRET": SECRET,
            "WHATSAPP_PHONE_NUMBER_ID": "1",
        }
        with services.running([sys.executable, EXAMPLES / "otel_bot.py"], tmp_path / "log", port, env=environ):
            body = webhook_body("393331234567", "wamid.1").replace(b"1700000000", b"%d" % time.time())
            headers = {"X-Hub-Signature-256": sign(body), "Content-Type": "application/json"}
            address = f"http://127.0.0.1:{port}/webhook"
            assert httpx.post(address, content=body, headers=headers, trust_env=False, timeout=60).text == "ok"
            received = ("chatvitals_messages_received_total", (("phone_number_id", "1"), ("type", "text")))
            until("the message", lambda: any(received in receiver.samples(i) for i in range(len(receiver.requests))))
        names = {span.name: span for span in spans(receiver.traces)}
    assert names.keys() >= {"POST /webhook", "receive 1", "handler echo", "send 1"}
    assert len({span.trace_id for span in names.values()}) == 1
    assert names["send 1"].parent_span_id == names["handler echo"].span_id


def test_the_collector_s_pipelines_name_what_it_declares() -> None:
    """A collector refuses a configuration that names what is not there."""
    for pipeline in COLLECTOR["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(COLLECTOR[kind])
