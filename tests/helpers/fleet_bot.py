"""A bot on Starlette that several worker processes serve. Every answer names the process that gave it.

The bot notes for each answer when its handler had the message and when the send returned: a line in `BOT_TIMES`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import chatvitals
from tests.helpers.commit_notes import noting_commits
from tests.helpers.waiting import unhurried

if TYPE_CHECKING:
    from starlette.requests import Request

graph = httpx.AsyncClient(timeout=60)
times = Path(os.environ["BOT_TIMES"]).open("a", buffering=1)  # noqa: SIM115 - it is open as long as the process lives
answering: set[asyncio.Task[None]] = set()


async def answer(number: str, to: str, handled: float) -> None:
    """Think, then answer."""
    await asyncio.sleep(random.uniform(0.02, 0.2))
    message = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "thanks"}}
    url = f"{os.environ['GRAPH_URL']}/{number}/messages"
    headers = {"authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}", "x-worker": str(os.getpid())}
    await graph.post(url, json=message, headers=headers)
    times.write(f"{to} {handled!r} {time.time()!r}\n")


async def webhook(request: Request) -> Response:
    """Take messages and answer each."""
    body = await request.body()
    handled = time.time()
    for entry in json.loads(body)["entry"]:
        for change in entry["changes"]:
            for message in change["value"].get("messages", []):
                number = change["value"]["metadata"]["phone_number_id"]
                task = asyncio.create_task(answer(number, message["from"], handled))
                answering.add(task)
                task.add_done_callback(answering.discard)
    return PlainTextResponse("ok", headers={"x-worker": str(os.getpid())})


app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])
vitals = chatvitals.init()
unhurried(vitals)
noting_commits(vitals, Path(os.environ["BOT_TIMES"] + ".commits"))
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
