"""Cases 27 to 31 of tests/safety/README.md: forks, kills and the end of a process."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import warnings
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import pytest

from chatvitals.events import Message
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.simulator.payloads import message as message_row
from chatvitals.simulator.payloads import webhook
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, World
from tests.helpers.waiting import MOST_SECONDS, returned

if TYPE_CHECKING:
    from collections.abc import Callable

RECEIVED = catalogue.MESSAGES_RECEIVED
TEXT = {"type": "text", "text": {"body": "hello"}}
CHOSEN = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef"}, environ={})


def message(name: str) -> Message:
    return Message(phone_number_id=NUMBER, wa_id=PHONE, id=name, type="text", timestamp=EPOCH, received=EPOCH)


def total(store: SQLiteStore, name: str, *labels: str) -> float:
    return sum(
        value
        for (family, values, field), value in store.cells().items()
        if family == name and field == 0 and all(label in values for label in labels)
    )


def in_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child and return its exit status. 0 is success."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # later Pythons warn of forks beside threads: our subject
        pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    """An empty SQLite store."""
    return SQLiteStore(tmp_path / "store.db")


# Forks


def test_a_forked_child_has_its_own_thread_and_leaves_its_parent_s_events_to_the_parent(store: SQLiteStore) -> None:
    """The parent commits events from before the fork, once. Later events are committed by their process."""
    pipeline = Pipeline(CHOSEN, store, ErrorGuard(), FakeClock(EPOCH))
    pipeline.put(message("before"))
    pipeline.settle(MOST_SECONDS)
    with pipeline._work:  # the parent's thread cannot commit while the fork is made
        pipeline.put(message("waiting"))

        def child() -> None:
            pipeline.put(message("child"))
            pipeline.settle(MOST_SECONDS)
            assert pipeline.waiting == 0
            assert pipeline._thread is not None
            assert pipeline._thread.is_alive()
            pipeline.close()

        assert in_child(child) == 0
        assert total(store, RECEIVED.name) == 2
    pipeline.put(message("parent"))
    pipeline.settle(MOST_SECONDS)
    pipeline.close()
    assert total(store, RECEIVED.name) == 4
    assert total(store, catalogue.DUPLICATES.name) == 0


def test_a_child_that_does_nothing_changes_nothing(store: SQLiteStore) -> None:
    """A fork that only runs another program may close what it has inherited."""
    vitals = Vitals(CHOSEN, store=store)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.settle(MOST_SECONDS)
    assert in_child(vitals.close) == 0
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.settle(MOST_SECONDS)
    assert vitals._pipeline.waiting == 0
    vitals.close()


def test_many_children_of_one_parent_lose_nothing(store: SQLiteStore) -> None:
    """A server that loads the app before it forks its workers."""
    pipeline = Pipeline(CHOSEN, store, ErrorGuard(), FakeClock(EPOCH))
    pipeline.put(message("parent"))
    pipeline.settle(MOST_SECONDS)
    for index in range(4):

        def child(name: str = f"child{index}") -> None:
            pipeline.put(message(name))
            pipeline.settle(MOST_SECONDS)
            pipeline.close()

        assert in_child(child) == 0
    pipeline.close()
    assert total(store, RECEIVED.name) == 5


def test_own_health_that_waits_at_a_fork_is_counted_once(store: SQLiteStore) -> None:
    """What the parent dropped and the errors that it saw are the parent's to tell."""
    world = World(store, queue_size=1)
    world.pipeline.put(message("m1"))
    world.pipeline.put(message("m2"))
    world.pipeline._guard.report("somewhere")

    def child() -> None:
        world.pipeline.put(message("m3"))
        assert world.pipeline.drain()

    assert in_child(child) == 0
    assert world.pipeline.drain()
    assert world.count(catalogue.EVENTS_DROPPED, "queue_full") == 1
    assert world.count(catalogue.INTERNAL_ERRORS, "somewhere") == 1


# Ends

ROOT = Path(__file__).parents[2]
_BOT = """
import sys, time
import chatvitals
from chatvitals.events import Message
from tests.helpers.waiting import unhurried
vitals = chatvitals.init(store="sqlite:///" + sys.argv[1], app_secret="s", hooks=False)
unhurried(vitals)
number = "990005556667778"
for index in range(int(sys.argv[2])):
    now = time.time()
    phone = str(15550000000 + index % 50)
    ids = {"phone_number_id": number, "wa_id": phone, "id": f"m{index}"}
    vitals._emit(Message(**ids, type="text", timestamp=int(now), received=now))
    if index % 3:
        vitals.record_reply(contact=phone, phone_number_id=number)
    if index % 100 == 0:
        print(index, flush=True)
        time.sleep(0.01)
"""


def test_a_process_that_ends_without_a_goodbye_has_committed_what_it_received(store: SQLiteStore) -> None:
    """`atexit` flushes. Nothing is printed at the interpreter's exit."""
    command = [sys.executable, "-c", _BOT, str(store.path), "250"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert total(store, RECEIVED.name) == 250


@pytest.mark.parametrize("lines", [2, 7])
def test_a_kill_at_any_moment_leaves_the_laws_of_conservation_intact(store: SQLiteStore, lines: int) -> None:
    """States and cells move together, so turns opened = turns ended + turns open in what the store has."""
    command = [sys.executable, "-c", _BOT, str(store.path), "1000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as bot:
        assert bot.stdout is not None
        for _ in range(lines):
            bot.stdout.readline()
        while not store.path.exists() or not total(store, RECEIVED.name):
            assert bot.stdout.readline(), "the bot ended by itself"
        bot.send_signal(signal.SIGKILL)
        bot.communicate()
    world = World(store)
    world.clock.now = time.time() + 60
    assert world.pipeline.sweep()
    world.conserve()
    assert world.count(RECEIVED) > 0
    assert world.count(catalogue.TURNS_OPENED) > 0


def noted_waits(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Note for how many seconds at most the end of a pipeline's thread is waited for."""
    waits: list[float] = []
    assert pipeline._thread is not None
    join = pipeline._thread.join

    def noting(timeout: float = inf) -> None:
        waits.append(timeout)
        join(timeout)

    monkeypatch.setattr(pipeline._thread, "join", noting)
    return waits


def test_closing_takes_two_seconds_at_most_when_the_store_is_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy is not held up. What could not be committed is counted, and closing again does nothing."""
    settings = Settings.load({"store": f"sqlite:///{tmp_path}/no/store.db", "hooks": False}, environ={})
    vitals = Vitals(settings)
    for _ in range(5):
        vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    waits = noted_waits(vitals._pipeline, monkeypatch)
    for _ in range(2):
        returned(vitals.close)
    assert waits == [2.0]
    assert vitals._pipeline.waiting == 0
    assert vitals._pipeline.own.measures().increments[catalogue.EVENTS_DROPPED.name, ("store",), 0] == 5


def test_closing_takes_two_seconds_at_most_when_a_commit_hangs(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that waits for a lock is left behind. It is a daemon."""
    pipeline = Pipeline(CHOSEN, store, ErrorGuard(), FakeClock(EPOCH))
    with pipeline._work:
        pipeline.put(message("m1"))
        waits = noted_waits(pipeline, monkeypatch)
        returned(pipeline.close)
        assert waits == [2.0]
    for thread in threading.enumerate():
        if thread.name == "chatvitals":
            thread.join(MOST_SECONDS)


class Forking(socketserver.ForkingMixIn, WSGIServer):
    """A server that forks for each request, as Werkzeug does with `processes`."""


class Silent(WSGIRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_75_a_server_that_forks_for_each_request_loses_no_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each child ends by `os._exit` right after its answer, before its thread has committed."""
    monkeypatch.setattr(Pipeline.close, "__defaults__", (MOST_SECONDS,))
    vitals = Vitals(Settings.load({"store": f"sqlite:///{tmp_path}/s.db", "hooks": False}, environ={}))

    def bot(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [])
        return [b"ok"]

    with Forking(("127.0.0.1", 0), Silent) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as above
        server.set_app(vitals.instrument_wsgi(bot))
        for index in range(4):
            body = webhook(
                BusinessNumber(NUMBER),
                [message_row(Person("", phone=PHONE), f"wamid.{index}", TEXT, at=int(time.time()))],
            )
            with socket.create_connection(("127.0.0.1", server.server_port), MOST_SECONDS) as connection:
                head = f"POST /webhook HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)
                server.handle_request()
                assert connection.makefile("rb").read().endswith(b"ok")
    vitals.settle(MOST_SECONDS)
    assert sum(value for cell, value in vitals.store.cells().items() if cell[0] == RECEIVED.name) == 4
    vitals.close()


def test_what_comes_after_closing_harms_nobody(store: SQLiteStore) -> None:
    """A request that is still under way when the app shuts down may emit."""
    vitals = Vitals(CHOSEN, store=store)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    thread = vitals._pipeline._thread
    vitals.close()
    for _ in range(3):
        vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    returned(vitals.settle)
    assert vitals._pipeline.waiting <= vitals.settings.queue_size
    assert thread is not None
    thread.join(MOST_SECONDS)
    assert not thread.is_alive()
    assert vitals._pipeline._thread is thread
