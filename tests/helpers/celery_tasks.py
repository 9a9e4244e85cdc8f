"""The tasks of a bot that answers from Celery. Run by a real worker in `test_celery.py`."""

from __future__ import annotations

import os

import httpx
from celery import Celery
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

import chatvitals
from chatvitals.integrations import celery as carrying
from tests.helpers.waiting import unhurried

vitals = chatvitals.init()  # CHATVITALS_* variables name the store
unhurried(vitals)
app = Celery("bot", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    task_send_sent_event=True,
)
if "CELERY_RECYCLED" not in os.environ:  # without it, `init` alone must do
    carrying.instrument(vitals, app)
if "TRACES_URL" in os.environ:
    exporter = OTLPSpanExporter(os.environ["TRACES_URL"])
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)  # after `init`, as instrumentations may do it
order = vitals.journey("order", steps=["menu", "paid"], completed_by="paid")


@app.task(name="answer")  # type: ignore[untyped-decorator]  # Celery has no types
def answer(number: str, phone: str, kind: str = "template") -> int:
    """Reach a step, hand over, answer. Return the process that did it."""
    order.reach("menu")
    vitals.handover()
    httpx.post(
        f"{os.environ['GRAPH_URL']}/{number}/messages",
        json={"messaging_product": "whatsapp", "to": phone, "type": kind, kind: {"name": "menu"}},
        timeout=60,
    ).raise_for_status()
    return os.getpid()


@app.task(name="first", bind=True)  # type: ignore[untyped-decorator]
def first(self: object, number: str, phone: str) -> str:
    """Send the next task from within this one."""
    return str(answer.delay(number, phone).id)
