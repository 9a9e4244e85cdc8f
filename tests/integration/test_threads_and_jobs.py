"""Answers from a plain thread or an RQ job close turns that a webhook opened elsewhere."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import apscheduler.schedulers.background
import pytest
import redis
import requests
import rq
import rq.job

from chatvitals import context, http_hooks
from chatvitals.integrations import rq as rq_carrying
from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.tracking import threads
from chatvitals.vitals import Vitals
from tests.helpers import services
from tests.helpers.stand_in import accepts_all
from tests.helpers.waiting import MOST_SECONDS

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
    vitals.settle(MOST_SECONDS)
    yield vitals
    vitals.close()


def settled(vitals: Vitals) -> float:
    time.sleep(0.2)  # the settling window
    vitals.settle(MOST_SECONDS)
    return vitals.store.cells().get(ANSWERED, 0.0)


def test_a_plain_thread_needs_no_context(web: Vitals, serve: Callable[[ASGIApp], int]) -> None:
    """The recipient of the send says whose turn it answers."""
    http_hooks.install(web._observer)
    url = f"http://127.0.0.1:{serve(accepts_all)}/1001/messages"
    message = {"messaging_product": "whatsapp", "to": PERSON.phone, "type": "text", "text": {"body": "hello"}}
    thread = threading.Thread(target=lambda: requests.post(url, json=message, timeout=MOST_SECONDS))
    thread.start()
    thread.join(MOST_SECONDS)
    assert settled(web) == 1


def fallbacks(vitals: Vitals) -> float:
    return sum(value for (name, *_), value in vitals.store.cells().items() if name == "chatvitals_fallbacks_total")


def environ_of_jobs(url: str, graph_port: int, folder: Path) -> dict[str, str]:
    """Return the variables of processes of a queue on the web process's store."""
    return {
        **os.environ,
        "BROKER_URL": url,
        "GRAPH_URL": f"http://127.0.0.1:{graph_port}",
        "CHATVITALS_STORE": f"sqlite:///{folder / 's.db'}",
        "CHATVITALS_SETTLE_AFTER": "0.1",
        "NO_PROXY": "127.0.0.1",
    }


def handle(web: Vitals, work: Callable[[], object]) -> None:
    """Do `work` while the webhook of the customer is handled: what it enqueues knows the contact."""
    with context.bound(context.Handling((context.ContactIds("1001", PERSON.phone, ""),))):
        work()


def work_off(command: list[str], environ: dict[str, str]) -> str:
    """Run the workers of a queue until it is empty. Gives their log."""
    program = [str(Path(sys.executable).parent / command[0]), *command[1:]]
    root = Path(__file__).parents[2]
    return subprocess.run(
        program, cwd=root, env=environ, capture_output=True, text=True, timeout=300, check=False
    ).stderr


def test_an_rq_job_closes_the_turn(web: Vitals, serve: Callable[[ASGIApp], int], tmp_path: Path) -> None:
    """`chatvitals.init` in the jobs' module and `settle()` at the end of a job are enough."""
    with services.redis_server() as url, redis.Redis.from_url(url) as connection:
        rq.Queue("default", connection=connection).enqueue("tests.helpers.rq_tasks.answer", "1001", PERSON.phone)
        environ = {**environ_of_jobs(url, serve(accepts_all), tmp_path), "RQ_BY_HAND": "1"}
        log = work_off(["rq", "worker", "--burst", "--url", url, "default"], environ)
    assert settled(web) == 1, log


def test_an_rq_job_knows_whose_message_it_is_about(
    web: Vitals, serve: Callable[[ASGIApp], int], tmp_path: Path
) -> None:
    """A template in it is a reply, a fallback finds its contact, and nothing has to be settled by hand."""
    undo = rq_carrying.instrument(web)
    with services.redis_server() as url, redis.Redis.from_url(url) as connection:
        queue, task = rq.Queue("default", connection=connection), "tests.helpers.rq_tasks.answer_with_template"
        handle(web, lambda: queue.enqueue(task, "1001", PERSON.phone))
        undo()
        log = work_off(
            ["rq", "worker", "--burst", "--url", url, "default"], environ_of_jobs(url, serve(accepts_all), tmp_path)
        )
    assert settled(web) == 1, log
    assert fallbacks(web) == 1


def test_what_rq_had_is_put_back(web: Vitals) -> None:
    """`close` leaves nothing patched."""
    before = vars(rq.job.Job)["create"], rq.job.Job.perform
    undo = rq_carrying.instrument(web)
    assert (vars(rq.job.Job)["create"], rq.job.Job.perform) != before
    undo()
    assert (vars(rq.job.Job)["create"], rq.job.Job.perform) == before


def test_a_dramatiq_actor_knows_whose_message_it_is_about(
    web: Vitals, serve: Callable[[ASGIApp], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contact outlives a retry."""
    with services.redis_server() as url:
        environ = environ_of_jobs(url, serve(accepts_all), tmp_path)
        for name in ("BROKER_URL", "CHATVITALS_STORE", "CHATVITALS_SETTLE_AFTER"):
            monkeypatch.setenv(name, environ[name])
        tasks = importlib.import_module("tests.helpers.dramatiq_tasks")
        handle(web, lambda: tasks.answer.send("1001", PERSON.phone, str(tmp_path / "flag")))
        command = ["dramatiq", "tests.helpers.dramatiq_tasks", "--processes", "1", "--threads", "2"]
        program = [str(Path(sys.executable).parent / command[0]), *command[1:]]
        worker = subprocess.Popen(program, cwd=Path(__file__).parents[2], env=environ, stderr=subprocess.PIPE)
        try:
            tasks.broker.join("default", timeout=300_000)
        finally:
            worker.terminate()
            log = worker.communicate(timeout=MOST_SECONDS)[1]
            tasks.vitals.close()
            tasks.broker.close()
    assert settled(web) == 1, log
    assert fallbacks(web) == 1


def test_a_job_of_apscheduler_knows_its_contact_where_it_runs_once(web: Vitals) -> None:
    """One that repeats goes on for other customers, and knows nobody."""
    undo = threads.install()
    scheduler = apscheduler.schedulers.background.BackgroundScheduler()
    seen: dict[str, context.ContactIds | None] = {}
    both = threading.Barrier(3)

    def look(name: str) -> None:
        if name not in seen:
            seen[name] = context.current()
            both.wait(MOST_SECONDS)

    def schedule() -> None:
        # By default a job that a busy machine begins a second late is left out.
        scheduler.add_job(look, args=["once"], misfire_grace_time=None)
        scheduler.add_job(look, "interval", seconds=0.2, args=["often"])

    try:
        scheduler.start()
        handle(web, schedule)
        both.wait(MOST_SECONDS)
    finally:
        scheduler.shutdown()
        undo()
    assert seen == {"once": context.ContactIds("1001", PERSON.phone, ""), "often": None}
