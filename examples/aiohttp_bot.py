"""A bot on aiohttp's server that answers with aiohttp's client, in a task of its own.

python aiohttp_bot.py
"""

import asyncio
import hashlib
import hmac
import json
import os

from aiohttp import ClientSession, ClientTimeout, web

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}
answering: set[asyncio.Task[None]] = set()


async def handshake(request: web.Request) -> web.Response:
    """Prove to WhatsApp that this address is ours."""
    if request.query.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
        raise web.HTTPForbidden
    return web.Response(text=request.query["hub.challenge"])


async def webhook(request: web.Request) -> web.Response:
    """Receive a webhook, and have each text answered."""
    body = await request.read()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        raise web.HTTPUnauthorized
    for value in (change["value"] for entry in json.loads(body)["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                number = value["metadata"]["phone_number_id"]
                task = asyncio.create_task(answer(number, message["from"], message["text"]["body"]))
                answering.add(task)
                task.add_done_callback(answering.discard)
    return web.Response(text="ok")


async def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    async with ClientSession(headers=HEADERS, timeout=ClientTimeout(10)) as session:
        await session.post(MESSAGES.format(number), json=reply)


app = web.Application()
app.add_routes([web.get("/webhook", handshake), web.post("/webhook", webhook)])
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), print=None)
