"""A WhatsApp bot that pushes its metrics and traces to an OpenTelemetry collector. Prometheus does not scrape it.

Run it with the variables below set, and a collector with deploy/otel-collector.yaml:

    pip install 'chatvitals[otel]' starlette uvicorn httpx
    OTEL_SERVICE_NAME=echo-bot OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 python otel_bot.py
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import chatvitals

NUMBER = os.environ["WHATSAPP_PHONE_NUMBER_ID"]
ACCESS_TOKEN = os.environ["WHATSAPP_ACCESS_TOKEN"]
GRAPH_URL = os.environ.get("GRAPH_URL", "https://graph.facebook.com/v26.0")

# Your own tracing. `opentelemetry-instrument` works as well, before or after chatvitals.
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("bot")

# chatvitals: metrics go to OTEL_EXPORTER_OTLP_ENDPOINT once a minute. Spans join the bot's traces.
vitals = chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"], phone_number_id=NUMBER)
vitals.export_otlp(interval=float(os.environ.get("PUSH_EVERY_SECONDS", "60")))
graph = httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCESS_TOKEN}"}, timeout=10)


@vitals.handler("echo")  # chatvitals: a span and the handler's time
async def echo(message: dict[str, Any]) -> None:
    """Answer a message with its own words."""
    body = {"messaging_product": "whatsapp", "to": message["from"], "type": "text", "text": message["text"]}
    await graph.post(f"{GRAPH_URL}/{NUMBER}/messages", json=body)


async def webhook(request: Request) -> Response:
    """Answer each text. chatvitals checks the signature for its numbers. Your bot must check it as well."""
    with tracer.start_as_current_span(
        "POST /webhook", context=propagate.extract(dict(request.headers)), kind=trace.SpanKind.SERVER
    ):
        told = await request.json()
        for change in (change for entry in told["entry"] for change in entry["changes"]):
            for message in change["value"].get("messages", []):
                if message["type"] == "text":
                    await echo(message)
    return PlainTextResponse("ok")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Send what is left when the server ends."""
    yield
    await asyncio.to_thread(vitals.close)
    await asyncio.to_thread(provider.shutdown)


app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])], lifespan=lifespan)
vitals.instrument_app(app)  # chatvitals

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
