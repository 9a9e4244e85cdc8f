"""The bot of `fleet_bot` on Flask. It answers with requests, on a thread for each message."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import requests
from flask import Flask, Response, request

import chatvitals
from tests.helpers.commit_notes import noting_commits
from tests.helpers.waiting import unhurried

graph = requests.Session()
graph.trust_env = False
times = Path(os.environ["BOT_TIMES"]).open("a", buffering=1)  # noqa: SIM115 - it is open as long as the process lives
app = Flask("bot")


@app.post("/webhook")
def webhook() -> Response:
    """Take messages and answer each."""
    entries = request.get_json()["entry"]
    handled = time.time()  # afterwards, because a turn starts when the body is read, and greenlets may wait before that
    for entry in entries:
        for change in entry["changes"]:
            for message in change["value"].get("messages", []):
                number = change["value"]["metadata"]["phone_number_id"]
                threading.Thread(target=answer, args=(number, message["from"], handled)).start()
    return Response("ok", headers={"x-worker": str(os.getpid())})


def answer(number: str, to: str, handled: float) -> None:
    """Think, then answer."""
    time.sleep(random.uniform(0.02, 0.2))
    message = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "thanks"}}
    url = f"{os.environ['GRAPH_URL']}/{number}/messages"
    headers = {"authorization": f"Bearer {os.environ['WHATSAPP_ACCESS_TOKEN']}", "x-worker": str(os.getpid())}
    graph.post(url, json=message, headers=headers, timeout=60)
    times.write(f"{to} {handled!r} {time.time()!r}\n")


vitals = chatvitals.init()
unhurried(vitals)
noting_commits(vitals, Path(os.environ["BOT_TIMES"] + ".commits"))
vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
