"""A pizzeria's WhatsApp bot on Starlette. Comments mark the lines of chatvitals.

Run it with the variables below set:  python starlette_bot.py
"""

import asyncio
import hashlib
import hmac
import json
import logging
import os
import random
from collections.abc import Sequence
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
NUMBER = os.environ["WHATSAPP_PHONE_NUMBER_ID"]
GRAPH_URL = os.environ.get("GRAPH_URL", "https://graph.facebook.com/v26.0")
# Each answer takes a time from one of these ranges (seconds), about as long as a language model.
THINK = [tuple(map(float, part.split("-"))) for part in os.environ.get("BOT_THINK_SECONDS", "0.5-1.5").split()]
SILENT = float(os.environ.get("ORDER_ABANDONED_AFTER", "86400"))  # seconds of silence after which an order is given up
WAYS = {"Deliver it": "address", "Pick it up": "pickup"}
PIZZAS, TIMES, PAYMENTS = ("Margherita", "Marinara", "Diavola", "Bufala"), ("18:00", "19:00", "20:00"), ("Cash", "Card")
QUESTIONS = {
    "item": ("Which pizza?", PIZZAS),
    "address": ("Where to? Street and number, please.", ()),
    "pickup": ("We are at the old station. When will you come?", TIMES),
    "payment": ("How would you like to pay?", PAYMENTS),
}

# chatvitals sees all sends from here on. The journey is the planned path. The experiment finds the better greeting.
vitals = chatvitals.init(app_secret=APP_SECRET, phone_number_id=NUMBER)
order = vitals.journey(
    "order",
    ["menu", "item", "address", "pickup", "payment", "paid"],
    completed_by="paid",
    stalled_after=min(1800, SILENT / 2),
    abandoned_after=SILENT,
)
greeting = vitals.experiment("greeting", {"plain": 1, "emoji": 1}, goal=order)
if WABA := os.environ.get("WHATSAPP_WABA_ID"):
    vitals.watch_quality(access_token=ACCESS_TOKEN, waba_ids=WABA)  # chatvitals: WhatsApp's ratings of our number

log = logging.getLogger("bot")
graph = httpx.AsyncClient(headers={"Authorization": f"Bearer {ACCESS_TOKEN}"}, timeout=10)
seen: set[str] = set()
answering: set[asyncio.Task[None]] = set()
orders: dict[str, dict[str, str]] = {}  # by customer: `at` is the latest question, `way` the way to the pizza


async def call(**message: Any) -> None:
    """Call the messages endpoint of the Cloud API."""
    try:
        response = await graph.post(f"{GRAPH_URL}/{NUMBER}/messages", json={"messaging_product": "whatsapp", **message})
        if response.is_error:
            log.warning("WhatsApp refused a call: %s", response.json()["error"]["message"])
    except (httpx.HTTPError, ValueError) as error:
        log.warning("WhatsApp could not be reached: %r", error)


async def say(message: dict[str, Any], text: str, options: Sequence[str] = ()) -> None:
    """Show that we are typing, think, and answer a message. Up to three options are buttons, more are a list."""
    await call(status="read", message_id=message["id"], typing_indicator={"type": "text"})
    await asyncio.sleep(random.uniform(*random.choice(THINK)))  # noqa: S311 - no secret depends on it
    to = {"to": message["from"]} if message.get("from") else {"recipient": message["from_user_id"]}
    rows = [{"id": option, "title": option} for option in options]
    action: dict[str, Any] = {"buttons": [{"type": "reply", "reply": row} for row in rows]}
    if len(rows) > 3:
        action = {"button": "Choose", "sections": [{"rows": rows}]}
    if not rows:
        await call(**to, type="text", text={"body": text})
        return
    asked = {"type": "list" if len(rows) > 3 else "button", "body": {"text": text}, "action": action}
    await call(**to, type="interactive", interactive=asked)


def person(message: dict[str, Any]) -> str:
    """Return the author of a message: a phone number, or a user id without one."""
    return str(message.get("from") or message["from_user_id"])


@order.step("menu")  # chatvitals
async def menu(message: dict[str, Any]) -> None:
    """Greet, and ask how the pizza gets to them."""
    hello = "🍕 Ciao!" if greeting.variant(contact=person(message)) == "emoji" else "Good evening."  # chatvitals
    await say(message, f"{hello} Shall we deliver your pizza?", list(WAYS))


@order.step("paid")  # chatvitals
async def paid(message: dict[str, Any]) -> None:
    """Thank the customer. The next message begins another order."""
    del orders[person(message)]
    await say(message, "Thank you! It is in the oven.")


async def answer(message: dict[str, Any]) -> None:
    """Take a message as the answer to the latest question. Ask the next question, or the same question again."""
    tapped = message.get("interactive", {})
    said = (tapped.get("button_reply") or tapped.get("list_reply") or {}).get("id") or message["text"]["body"]
    state = orders.setdefault(person(message), {"at": "", "way": ""})
    leads_to = {
        "": "menu",
        "menu": "item" if said in WAYS else None,
        "item": state["way"] if said in PIZZAS else None,
        "address": "payment" if any(map(str.isdigit, said)) else None,
        "pickup": "payment" if said in TIMES else None,
        "payment": "paid" if said in PAYMENTS else None,
    }[state["at"]]
    if leads_to is None:
        vitals.fallback(contact=person(message))  # chatvitals: not understood
    state["way"] = WAYS.get(said, state["way"])
    at = state["at"] = leads_to or state["at"]
    if at in QUESTIONS:
        order.reach(at, contact=person(message))  # chatvitals
        await say(message, *QUESTIONS[at])
    else:
        await {"menu": menu, "paid": paid}[at](message)


async def handshake(request: Request) -> Response:
    """Prove to WhatsApp that this address is ours."""
    if request.query_params.get("hub.verify_token") != VERIFY_TOKEN:
        return PlainTextResponse("wrong token", status_code=403)
    return PlainTextResponse(request.query_params.get("hub.challenge", ""))


async def webhook(request: Request) -> Response:
    """Receive a webhook, and answer each message once."""
    body = await request.body()
    expected = "sha256=" + hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(request.headers.get("x-hub-signature-256", ""), expected):
        return PlainTextResponse("wrong signature", status_code=401)
    for change in (change for entry in json.loads(body)["entry"] for change in entry["changes"]):
        for message in change["value"].get("messages", []):
            if message["type"] in {"text", "interactive"} and message["id"] not in seen:  # some messages come twice
                seen.add(message["id"])
                task = asyncio.create_task(answer(message))
                answering.add(task)
                task.add_done_callback(answering.discard)
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/webhook", handshake), Route("/webhook", webhook, methods=["POST"])])
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")  # chatvitals: serves /metrics

if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
