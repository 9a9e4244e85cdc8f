"""A bot's actors, run by real Dramatiq workers in `test_threads_and_jobs.py`."""

from __future__ import annotations

import os

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker

import chatvitals
from chatvitals.integrations import dramatiq as chatvitals_dramatiq
from tests.helpers.waiting import unhurried

vitals = chatvitals.init()  # CHATVITALS_* variables name the store
unhurried(vitals)
broker = RedisBroker(url=os.environ["BROKER_URL"])
dramatiq.set_broker(broker)
chatvitals_dramatiq.instrument(vitals)


@dramatiq.actor(max_retries=3, min_backoff=100, max_backoff=200)  # type: ignore[untyped-decorator]  # as in the doors
def answer(number: str, phone: str, flag: str) -> None:
    """Fail at first, then answer with a template. Nothing names the contact."""
    try:
        os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        pass
    else:
        raise RuntimeError("the first attempt fails")
    vitals.fallback()
    requests.post(
        f"{os.environ['GRAPH_URL']}/{number}/messages",
        json={"messaging_product": "whatsapp", "to": phone, "type": "template", "template": {"name": "menu"}},
        timeout=60,
    ).raise_for_status()
