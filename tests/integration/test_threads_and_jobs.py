"""Answers that are sent from a plain thread, or from an RQ job, close the turns that a webhook opened elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import requests
import rq

from chatvitals import http_hooks
from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.vitals import Vitals
from tests.helpers import services
from tests.integration.test_celery import graph

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.integrations.asgi import ASGIApp

NUMBER = BusinessNumber("1001")
PERSON = Person("", phone="15550001111")
ANSWERED = ("chatvitals_turns_total", ("1001", "first", "answered", ""), 0)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Vitals]:
    """The web process's side, which has received one message."""
    vitals = Vitals(Settings.load({"store": f"sqlite:///{tmp_path / 's.db'}", "settle_after": 0.1}, {}))
    content = {"type": "text", "text": {"body": "hello"}}
    update = payloads.message(PERSON, "wamid.in", content, at=time.time())
    vitals.observe_webhook(payloads.webhook(NUMBER, [update]))
    vitals.settle()
    yield vitals
    vitals.close()


def settled(vitals: Vitals) -> float:
    time.sleep(0.2)  # the settling window
    vitals.settle()
    return vitals.store.cells().get(ANSWERED, 0.0)


def test_a_plain_thread_needs_no_context(web: Vitals, serve: Callable[[ASGIApp], int]) -> None:
    """The recipient of the send says whose turn it answers."""
    http_hooks.install(web._observer)
    url = f"http://127.0.0.1:{serve(graph())}/1001/messages"
    message = {"messaging_product": "whatsapp", "to": PERSON.phone, "type": "text", "text": {"body": "hello"}}
    thread = threading.Thread(target=lambda: requests.post(url, json=message, timeout=5))
    thread.start()
    thread.join(10)
    assert settled(web) == 1


def test_an_rq_job_closes_the_turn(web: Vitals, serve: Callable[[ASGIApp], int], tmp_path: Path) -> None:
    """`chatvitals.init` in the jobs' module and `settle()` at the end of a job are enough."""
    with services.redis_server() as url, redis.Redis.from_url(url) as connection:
        rq.Queue("default", connection=connection).enqueue("tests.helpers.rq_tasks.answer", "1001", PERSON.phone)
        environ = {
            **os.environ,
            "GRAPH_URL": f"http://127.0.0.1:{serve(graph())}",
            "CHATVITALS_STORE": f"sqlite:///{tmp_path / 's.db'}",
            "CHATVITALS_SETTLE_AFTER": "0.1",
            "NO_PROXY": "127.0.0.1",
        }
        command = [str(Path(sys.executable).parent / "rq"), "worker", "--burst", "--url", url, "default"]
        root = Path(__file__).parents[2]
        done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert settled(web) == 1, done.stderr
