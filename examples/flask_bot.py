"""A bot on Flask that answers with requests, inside its view.

gunicorn --workers 2 flask_bot:app
"""

import hashlib
import hmac
import os

import requests
from flask import Flask, abort, request

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}

app = Flask(__name__)
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")


@app.get("/webhook")
def handshake() -> str:
    """Prove to WhatsApp that this address is ours."""
    if request.args.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
        abort(403)
    return request.args["hub.challenge"]


@app.post("/webhook")
def webhook() -> str:
    """Receive a webhook, and answer each text."""
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), request.get_data(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        abort(401)
    for value in (change["value"] for entry in request.get_json()["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                answer(value["metadata"]["phone_number_id"], message["from"], message["text"]["body"])
    return "ok"


def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    requests.post(MESSAGES.format(number), json=reply, headers=HEADERS, timeout=10)
