"""One trace from the webhook over Celery to the send and the turn, beside the instrumentations of OpenTelemetry.

Their versions forbid the newest SDK, so that `.ci/matrix instrumentations` makes an environment for them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.vitals import Vitals
from tests.conftest import SECRET, sign
from tests.helpers import services
from tests.helpers.otlp_receiver import Receiver, spans
from tests.helpers.stand_in import accepts_all
from tests.helpers.waiting import until
from tests.integration.test_celery import stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.asgi import ASGIApp

if find_spec("opentelemetry.instrumentation") is None:
    pytest.skip("they need another SDK: run .ci/matrix instrumentations", allow_module_level=True)

ROOT = Path(__file__).parents[2]
BOT = "tests.helpers.instrumented_bot"
CLIENTS = ("httpx", "requests")


def _receive(port: int, index: int, client: str) -> None:
    person = Person("", phone=f"1555000999{index}")
    content = {"type": "text", "text": {"body": client}}
    update = payloads.message(person, f"wamid.in{index}", content, at=time.time())
    body = payloads.webhook(BusinessNumber("1009"), [update])
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body)}
    httpx.post(
        f"http://127.0.0.1:{port}/webhook", content=body, headers=headers, trust_env=False, timeout=60
    ).raise_for_status()


def _traces(order: str, graph_url: str, store: str, log: Path) -> list[dict[str, Any]]:
    """Return the spans of each webhook's trace by name, after a message for each client."""
    port = services.free_port()
    with ExitStack() as stack:
        broker = stack.enter_context(services.redis_server())
        receiver = stack.enter_context(Receiver())
        out = stack.enter_context(log.open("wb"))
        environ = {
            **os.environ,
            "BROKER_URL": broker,
            "CHATVITALS_APP_SECRET": SECRET,
            "CHATVITALS_SETTLE_AFTER": "0.5",
            "CHATVITALS_STORE": store,
            "GRAPH_URL": graph_url,
            "NO_PROXY": "127.0.0.1",
            "ORDER": order,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.address,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_TRACES_EXPORTER": "otlp",
            "RECEIVER": receiver.address,
        }
        agent = [str(Path(sys.executable).with_name("opentelemetry-instrument"))] if order == "agent" else []
        flags = ["--pool", "prefork", "-c", "1", "-l", "info", "--without-gossip", "--without-mingle"]
        for command in (["uvicorn", f"{BOT}:web", "--port", str(port)], ["celery", "-A", BOT, "worker", *flags]):
            line = [*agent, sys.executable, "-m", *command]
            process = subprocess.Popen(line, stdout=out, stderr=out, cwd=ROOT, env=environ)
            stack.callback(stop, process)
            if command[0] == "uvicorn":
                services.wait_until_listening(port, process)
        for index, client in enumerate(CLIENTS):
            _receive(port, index, client)
        until(
            "the turns",
            lambda: [span.name for span in spans(receiver.traces)].count("turn") == len(CLIENTS),
            log.read_text,
        )
        stack.close()  # what the processes have not yet sent is sent now
        found = spans(receiver.traces)
    ids = {span.trace_id for span in found if span.name == "receive 1009"}
    return [{span.name: span for span in found if span.trace_id == trace_id} for trace_id in ids]


def _ancestors(span: Any, trace: dict[str, Any]) -> list[str]:
    by_id = {other.span_id: name for name, other in trace.items()}
    names: list[str] = []
    while span.parent_span_id in by_id:
        names.append(by_id[span.parent_span_id])
        span = trace[names[-1]]
    return names


@pytest.mark.parametrize("order", ["chatvitals", "instrumentations", "agent"])
def test_one_trace_holds_webhook_task_send_and_turn_in_any_order(
    order: str, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """The send is within the task, which is within the webhook. Each send counts once, and no error is swallowed."""
    store, log = f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "log"
    traces = _traces(order, f"http://127.0.0.1:{serve(accepts_all)}", store, log)
    assert len(traces) == len(CLIENTS)
    for trace in traces:
        send, turn = trace["send 1009"], trace["turn"]
        receive = trace["receive 1009"]
        above = [name for name in _ancestors(send, trace) if name != "POST"]  # a client's span may lie over ours
        assert above == ["run/answer", "apply_async/answer", "receive 1009", "POST /webhook"]
        assert "POST" in _ancestors(send, trace) or trace["POST"].parent_span_id == send.span_id
        assert [link.span_id for link in send.links] == [receive.span_id]
        assert (turn.parent_span_id, [link.span_id for link in turn.links]) == (receive.span_id, [send.span_id])
    assert "Traceback" not in log.read_text()
    vitals = Vitals(Settings.load({"store": store, "hooks": False}, environ={}), background=False)
    cells = {" ".join((family, *labels)).strip(): value for (family, labels, _), value in vitals.store.cells().items()}
    vitals.close()
    assert cells["chatvitals_sends_total 1009 reply accepted"] == len(CLIENTS)
    assert cells["chatvitals_turns_total 1009 first answered"] == len(CLIENTS)
    assert not [name for name in cells if name.startswith("chatvitals_internal_errors_total")]
