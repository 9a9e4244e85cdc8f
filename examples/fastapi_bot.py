"""A bot on FastAPI that answers with httpx, after it has acknowledged the webhook.

uvicorn fastapi_bot:app
"""

import hashlib
import hmac
import json
import os

import httpx
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import PlainTextResponse

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}

app = FastAPI()
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")


@app.get("/webhook")
def handshake(request: Request) -> PlainTextResponse:
    """Prove to WhatsApp that this address is ours."""
    if request.query_params.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
        raise HTTPException(403)
    return PlainTextResponse(request.query_params["hub.challenge"])


@app.post("/webhook")
async def webhook(request: Request, tasks: BackgroundTasks) -> str:
    """Receive a webhook, and have each text answered."""
    body = await request.body()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        raise HTTPException(401)
    for value in (change["value"] for entry in json.loads(body)["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                tasks.add_task(answer, value["metadata"]["phone_number_id"], message["from"], message["text"]["body"])
    return "ok"


async def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    async with httpx.AsyncClient(headers=HEADERS, timeout=10) as client:
        await client.post(MESSAGES.format(number), json=reply)
