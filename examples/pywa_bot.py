"""A bot with pywa, on the server that pywa brings, with a journey whose steps are pywa's handlers.

python pywa_bot.py      or      pywa run pywa_bot:whatsapp
"""

import os

from pywa import WhatsApp, filters
from pywa.types import Message

import chatvitals

whatsapp = WhatsApp(
    phone_id=os.environ["WHATSAPP_PHONE_NUMBER_ID"],
    token=os.environ["WHATSAPP_ACCESS_TOKEN"],
    app_secret=os.environ["WHATSAPP_APP_SECRET"],
    verify_token=os.environ["WHATSAPP_VERIFY_TOKEN"],
    webhook_endpoint="/webhook",
)
vitals = chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"])
vitals.instrument_app(whatsapp, metrics_path="/metrics")
visit = vitals.journey("visit", steps=["hello", "goodbye"], completed_by="goodbye")  # optional: where customers stop


@whatsapp.on_message(filters.matches("bye", ignore_case=True))
@visit.step("goodbye")
def goodbye(_: WhatsApp, message: Message) -> None:
    """Say goodbye."""
    message.reply("Goodbye!")


@whatsapp.on_message(filters.text)
@visit.step("hello")
def hello(_: WhatsApp, message: Message) -> None:
    """Answer one text."""
    message.reply(f"You said: {message.text}")


if __name__ == "__main__":
    whatsapp.run(port=int(os.environ.get("PORT", "8000")))
