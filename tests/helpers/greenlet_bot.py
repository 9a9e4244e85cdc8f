"""A bot in one process of greenlets, with customers, the API and scrapes. It prints what its metrics show at the end.

`python -m tests.helpers.greenlet_bot MODE STORE`. A mode is what the bot has gevent replace, and when.
"""

from __future__ import annotations

import faulthandler
import sys
from typing import TYPE_CHECKING, Any

from gevent import monkey

MODES: dict[str, dict[str, bool]] = {
    "all": {},
    "no time": {"time": False},
    "no threads": {"thread": False},
    "sockets only": dict.fromkeys(("time", "thread", "os", "dns", "select", "subprocess", "signal", "queue"), False),
}
LATE = "after the import"  # as `gunicorn --preload` does it
PEOPLE = 20
NUMBER = "990005556667778"
PATH = f"/v24.0/{NUMBER}/messages"
SECRET = "the-app-secret"
_MOST_SECONDS = 120.0

mode, store = sys.argv[1:] if __name__ == "__main__" else ("all", "memory:")
if __name__ == "__main__":
    faulthandler.dump_traceback_later(_MOST_SECONDS, exit=True)  # a thread of the system, which no greenlet blocks
    if mode in MODES:
        monkey.patch_all(**MODES[mode])

import json  # noqa: E402 - after gevent, as in a bot
import sqlite3  # noqa: E402
import time  # noqa: E402

import gevent  # noqa: E402
import requests  # noqa: E402
from flask import Flask, request  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

import chatvitals  # noqa: E402
from chatvitals.runtime import greenlets  # noqa: E402
from chatvitals.simulator import payloads  # noqa: E402
from chatvitals.simulator.people import BusinessNumber, Person  # noqa: E402
from chatvitals.stores import sqlite  # noqa: E402
from chatvitals.whatsapp import signatures  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

held_up: list[float] = []
"""Sleeps of the thread of all greenlets in which none of them went on."""


def watch_sleeps() -> None:
    """Note the sleeps of the system's own function on the thread of the greenlets."""
    bare, main = time.sleep, gevent.get_hub()

    def sleep(seconds: float) -> None:
        if gevent.get_hub() is main:
            held_up.append(seconds)
        bare(seconds)

    vars(time)["sleep"] = sleep


class Bot:
    """The bot, the API that it sends to, and its customers, on one server."""

    def __init__(self) -> None:
        self.vitals = chatvitals.init(store=store, app_secret=SECRET, settle_after=0.0, metrics_token="t")
        self._http = requests.Session()
        self._http.trust_env = False
        app = Flask("bot")
        app.add_url_rule("/webhook", "webhook", self._webhook, methods=["POST"])
        app.add_url_rule(PATH, "api", self._api, methods=["POST"])
        self.vitals.instrument_app(app, metrics_path="/metrics")
        self._server = WSGIServer(("127.0.0.1", 0), app, log=None)
        self._server.start()
        self._url = f"http://127.0.0.1:{self._server.server_port}"

    def _webhook(self) -> str:
        to = request.get_json()["entry"][0]["changes"][0]["value"]["messages"][0]["from"]
        gevent.sleep(0.01)
        message = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "thanks"}}
        self._http.post(self._url + PATH, json=message, timeout=60).raise_for_status()
        return "ok"

    def _api(self) -> Any:
        to = request.get_json()["to"]
        return payloads.accepted(Person("", phone=to), to, f"wamid.answer.{to}")

    def write(self, index: int) -> None:
        """Let a customer write. The bot answers before its webhook is over."""
        person = Person("Ada Example", f"1555000{index:04d}", f"US.9000000000000000{index:04d}")
        text = {"type": "text", "text": {"body": "hello"}}
        message = payloads.message(person, f"wamid.{index}", text, at=int(time.time()))
        body = payloads.webhook(BusinessNumber(NUMBER), [message])
        headers = {"X-Hub-Signature-256": signatures.sign(body, SECRET), "Content-Type": "application/json"}
        self._http.post(f"{self._url}/webhook", data=body, headers=headers, timeout=60).raise_for_status()

    def scrape(self, _: int = 0) -> str:
        """Return the page of the metrics."""
        answer = self._http.get(f"{self._url}/metrics", headers={"Authorization": "Bearer t"}, timeout=60)
        answer.raise_for_status()
        return answer.text

    def close(self) -> None:
        """Stop."""
        self._server.stop()
        self.vitals.close()


def at_once(work: Callable[[int], object], many: int) -> None:
    """Do something in many greenlets."""
    gevent.joinall([gevent.spawn(work, index) for index in range(many)], raise_error=True)


def main() -> None:
    """Let customers write, and scrape. With a file as store, another connection locks it for a while."""
    if mode == "no time":
        watch_sleeps()
    sqlite._BUSY_SECONDS = 60.0  # a wait that stops all greenlets ends only then, and with an error
    bot = Bot()
    if mode == LATE:
        monkey.patch_all()
    at_once(bot.write, PEOPLE // 2)
    bot.vitals.settle(60)
    if store.startswith("sqlite") and not greenlets.has_real_threads():
        lock = sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        gevent.spawn_later(0.5, lock.execute, "ROLLBACK")
    at_once(lambda index: bot.write(PEOPLE // 2 + index), PEOPLE // 2)
    bot.vitals.settle(60)
    at_once(bot.scrape, 6)
    page = bot.scrape()
    bot.close()
    sys.stdout.write(json.dumps({"page": page, "held_up": held_up}))


if __name__ == "__main__":
    main()
