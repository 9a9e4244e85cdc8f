"""A bot on Tornado that answers with requests, from a thread of its own.

python tornado_bot.py
"""

import asyncio
import hashlib
import hmac
import json
import os

import requests
from tornado.web import Application, RequestHandler

import chatvitals

APP_SECRET = os.environ["WHATSAPP_APP_SECRET"]
MESSAGES = f"{os.environ.get('GRAPH_URL', 'https://graph.facebook.com/v26.0')}/{{}}/messages"
HEADERS = {"Authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}"}


class Webhook(RequestHandler):
    """The callback address of the webhook."""

    def get(self) -> None:
        """Prove to WhatsApp that this address is ours."""
        if self.get_query_argument("hub.verify_token", "") != os.environ["WHATSAPP_VERIFY_TOKEN"]:
            self.send_error(403)
            return
        self.write(self.get_query_argument("hub.challenge"))

    async def post(self) -> None:
        """Receive a webhook, and answer each text."""
        expected = "sha256=" + hmac.new(APP_SECRET.encode(), self.request.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(self.request.headers.get("x-hub-signature-256", ""), expected):
            self.send_error(401)
            return
        content = json.loads(self.request.body)
        for value in (change["value"] for entry in content["entry"] for change in entry["changes"]):
            for message in value.get("messages", []):
                if message["type"] == "text":
                    number = value["metadata"]["phone_number_id"]
                    await asyncio.to_thread(answer, number, message["from"], message["text"]["body"])


def answer(number: str, customer: str, text: str) -> None:
    """Answer one text."""
    reply = {"messaging_product": "whatsapp", "to": customer, "type": "text", "text": {"body": f"You said: {text}"}}
    requests.post(MESSAGES.format(number), json=reply, headers=HEADERS, timeout=10)


app = Application([("/webhook", Webhook)])
vitals = chatvitals.init(app_secret=APP_SECRET)
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")


async def main() -> None:
    """Serve for ever."""
    app.listen(int(os.environ.get("PORT", "8000")), "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
