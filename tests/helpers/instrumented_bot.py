"""A bot under the instrumentations of OpenTelemetry: FastAPI receives, Celery answers. ORDER says which comes first."""

from __future__ import annotations

import importlib
import os
from typing import Any

import httpx
import requests
from celery import Celery
from fastapi import FastAPI, Request

import chatvitals
from chatvitals.integrations import celery as carrying

ORDER = os.environ["ORDER"]
CLIENTS: dict[str, Any] = {"httpx": httpx, "requests": requests}


def instrument(module: str, name: str) -> Any:
    """Return an instrumentation, which the environment of the development has not."""
    return getattr(importlib.import_module(f"opentelemetry.instrumentation.{module}"), name)


def instrument_clients() -> None:
    """Set the provider, and instrument Celery and both clients."""
    from opentelemetry import trace  # noqa: PLC0415 - as late as in a bot of this order
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{os.environ['RECEIVER']}/v1/traces")))
    trace.set_tracer_provider(provider)
    instrument("celery", "CeleryInstrumentor")().instrument()
    instrument("httpx", "HTTPXClientInstrumentor")().instrument()
    instrument("requests", "RequestsInstrumentor")().instrument()


web = FastAPI()
if ORDER == "instrumentations":
    instrument_clients()
    instrument("fastapi", "FastAPIInstrumentor").instrument_app(web)
vitals = chatvitals.init()
app = Celery("bot", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
app.conf.update(broker_connection_retry_on_startup=True)
carrying.instrument(vitals, app)
vitals.instrument_app(web, webhook_path="/webhook")
if ORDER == "chatvitals":
    instrument_clients()
    instrument("fastapi", "FastAPIInstrumentor").instrument_app(web)


@app.task(name="answer")  # type: ignore[untyped-decorator]  # Celery has no types
def answer(phone: str, client: str) -> None:
    """Answer through a client."""
    text = {"messaging_product": "whatsapp", "to": phone, "type": "text", "text": {"body": "hello"}}
    CLIENTS[client].post(f"{os.environ['GRAPH_URL']}/1009/messages", json=text, timeout=60).raise_for_status()


@web.post("/webhook")
async def webhook(request: Request) -> None:
    """Let Celery answer through the client that the customer names."""
    message = (await request.json())["entry"][0]["changes"][0]["value"]["messages"][0]
    answer.delay(message["from"], message["text"]["body"])
