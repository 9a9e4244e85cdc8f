"""A bot on Sanic's own server that answers with httpx.

sanic sanic_bot:app --workers 2
"""

import hashlib
import hmac
import os

import httpx
from sanic import HTTPResponse, Request, Sanic, Unauthorized, text
from sanic.exceptions import Forbidden

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}

app = Sanic("bot")
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")


@app.get("/webhook")
async def handshake(request: Request) -> HTTPResponse:
    """Prove to WhatsApp that this address is ours."""
    if request.args.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
        raise Forbidden
    return text(request.args.get("hub.challenge"))


@app.post("/webhook")
async def webhook(request: Request) -> HTTPResponse:
    """Receive a webhook, and answer each text."""
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        raise Unauthorized
    for value in (change["value"] for entry in request.json["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                await answer(value["metadata"]["phone_number_id"], message["from"], message["text"]["body"])
    return text("ok")


async def answer(number: str, customer: str, said: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {said}"}}
    async with httpx.AsyncClient(headers=HEADERS, timeout=10) as client:
        await client.post(MESSAGES.format(number), json=reply)
