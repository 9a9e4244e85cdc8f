"""A bot on Starlette that several worker processes serve. Every answer names the process that gave it."""

from __future__ import annotations

import asyncio
import json
import os
import random
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import chatvitals

if TYPE_CHECKING:
    from starlette.requests import Request

graph = httpx.AsyncClient(timeout=60)
answering: set[asyncio.Task[None]] = set()


async def answer(number: str, to: str) -> None:
    """Think, then answer."""
    await asyncio.sleep(random.uniform(0.02, 0.2))
    message = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "thanks"}}
    url = f"{os.environ['GRAPH_URL']}/{number}/messages"
    headers = {"authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}", "x-worker": str(os.getpid())}
    await graph.post(url, json=message, headers=headers)


async def webhook(request: Request) -> Response:
    """Take messages and answer each."""
    for entry in json.loads(await request.body())["entry"]:
        for change in entry["changes"]:
            for message in change["value"].get("messages", []):
                task = asyncio.create_task(answer(change["value"]["metadata"]["phone_number_id"], message["from"]))
                answering.add(task)
                task.add_done_callback(answering.discard)
    return PlainTextResponse("ok", headers={"x-worker": str(os.getpid())})


app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])
vitals = chatvitals.init()
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
