"""A bot as an AWS Lambda function behind API Gateway or a function URL, which answers with urllib.

Its handler is `lambda_bot.handler`. CHATVITALS_STORE names a Redis: the file system of a function is not shared.
"""

import base64
import hashlib
import hmac
import json
import os
import urllib.request
from typing import Any

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}", "Content-Type": "application/json"}

vitals = chatvitals.init(app_secret=APP_SECRET)


@vitals.lambda_handler
def handler(event: dict[str, Any], _: object) -> dict[str, Any]:
    """Prove to WhatsApp that this address is ours, or receive a webhook and answer each text."""
    if (event.get("httpMethod") or event["requestContext"]["http"]["method"]) == "GET":
        query = event.get("queryStringParameters") or {}
        known = query.get("hub.verify_token") == os.environ["WHATSAPP_VERIFY_TOKEN"]
        return {"statusCode": 200, "body": query["hub.challenge"]} if known else {"statusCode": 403}
    body = base64.b64decode(event["body"]) if event.get("isBase64Encoded") else event["body"].encode()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {name.lower(): value for name, value in event["headers"].items()}
    if not hmac.compare_digest(headers.get("x-hub-signature-256", ""), expected):
        return {"statusCode": 401}
    for value in (change["value"] for entry in json.loads(body)["entry"] for change in entry["changes"]):
        for message in value.get("messages", []):
            if message["type"] == "text":
                answer(value["metadata"]["phone_number_id"], message["from"], message["text"]["body"])
    return {"statusCode": 200, "body": "ok"}


def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    url = MESSAGES.format(number)
    request = urllib.request.Request(url, json.dumps(reply).encode(), HEADERS)  # noqa: S310 - an address of our own
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - as above
