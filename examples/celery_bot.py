"""A bot on Flask whose Celery tasks answer with requests: a template, as the reply to the customer who wrote.

gunicorn celery_bot:app      and      celery -A celery_bot:tasks worker
"""

import hashlib
import hmac
import os

import requests
from celery import Celery
from flask import Flask, abort, request

import chatvitals
from chatvitals.integrations import celery as chatvitals_celery

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}

app = Flask(__name__)
tasks = Celery("bot", broker=os.environ.get("BROKER_URL", "redis://localhost:6379/0"))
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
chatvitals_celery.instrument(vitals, tasks)


@app.get("/webhook")
def handshake() -> str:
    """Prove to WhatsApp that this address is ours."""
    if request.args.get("hub.verify_token") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
        abort(403)
    return request.args["hub.challenge"]


@app.post("/webhook")
def webhook() -> str:
    """Receive a webhook, and have each text answered."""
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), request.get_data(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        abort(401)
    for value in (change["value"] for entry in request.get_json()["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                answer.delay(value["metadata"]["phone_number_id"], message["from"])
    return "ok"


@tasks.task
def answer(number: str, customer: str) -> None:
    """Answer one text."""
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "template", "template": template}
    requests.post(MESSAGES.format(number), json=reply, headers=HEADERS, timeout=10)
