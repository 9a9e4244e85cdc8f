"""A small WhatsApp bot on Starlette, as its author wrote it; the one line of chatvitals is marked.

Run it with WHATSAPP_APP_SECRET, WHATSAPP_ACCESS_TOKEN and WHATSAPP_VERIFY_TOKEN set:  python starlette_bot.py
"""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import random
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
ACCESS_TOKEN = os.environ["WHATSAPP_ACCESS_TOKEN"]
VERIFY_TOKEN = os.environ["WHATSAPP_VERIFY_TOKEN"]
GRAPH_URL = os.environ.get("GRAPH_URL", "https://graph.facebook.com/v24.0")
# One of these ranges of seconds per answer; a language model would take about as long.
THINK = [tuple(map(float, part.split("-"))) for part in os.environ.get("BOT_THINK_SECONDS", "0.5-1.5").split()]

log = logging.getLogger("bot")
graph = httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCESS_TOKEN}"}, timeout=10)
seen: set[str] = set()
answering: set[asyncio.Task[None]] = set()


async def call(number: str, **message: Any) -> None:
    """Call the messages endpoint of the Cloud API."""
    try:
        response = await graph.post(f"{GRAPH_URL}/{number}/messages", json={"messaging_product": "whatsapp", **message})
        if response.is_error:
            log.warning("WhatsApp refused a call: %s", response.json()["error"]["message"])
    except (httpx.HTTPError, ValueError) as error:
        log.warning("WhatsApp could not be reached: %r", error)


async def answer(number: str, message: dict[str, Any]) -> None:
    """Show that we are typing, think, answer."""
    await call(number, status="read", message_id=message["id"], typing_indicator={"type": "text"})
    await asyncio.sleep(random.uniform(*random.choice(THINK)))  # noqa: S311 - no secret depends on it
    person = {"to": message["from"]} if message.get("from") else {"recipient": message["from_user_id"]}
    await call(number, **person, type="text", text={"body": "Thank you! We are looking into it."})


async def handshake(request: Request) -> Response:
    """Prove to WhatsApp that this address is ours."""
    if request.query_params.get("hub.verify_token") != VERIFY_TOKEN:
        return PlainTextResponse("wrong token", status_code=403)
    return PlainTextResponse(request.query_params.get("hub.challenge", ""))


async def webhook(request: Request) -> Response:
    """Take what WhatsApp reports, and answer each text once."""
    body = await request.body()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return PlainTextResponse("wrong signature", status_code=401)
    for change in (change for entry in json.loads(body)["entry"] for change in entry["changes"]):
        for message in change["value"].get("messages", []):
            if message["type"] == "text" and message["id"] not in seen:  # WhatsApp delivers some twice
                seen.add(message["id"])
                task = asyncio.create_task(answer(change["value"]["metadata"]["phone_number_id"], message))
                answering.add(task)
                task.add_done_callback(answering.discard)
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/webhook", handshake), Route("/webhook", webhook, methods=["POST"])])
# The one line: from here on, /metrics tells how long customers wait.
chatvitals.init(app_secret=APP_SECRET).instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
