"""25 kills with SIGKILL under load: laws hold, and nothing that was committed is lost (tests/safety/README.md 27)."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from chatvitals.events import Call, Message, Send, Step
from chatvitals.metrics import catalogue
from chatvitals.stores import open_store
from tests.helpers.single_worker import NUMBER, World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

KILLS = 25
WORKERS = 3
BATCH = 20
PEOPLE = 12  # few, so that workers change the same contacts
FORK = multiprocessing.get_context("fork")


def work(url: str, name: str, told: Connection) -> None:
    """Commit batches for ever, and report each committed batch."""
    world = World(open_store(url))
    rng = random.Random(name)
    for batch in range(100_000):
        now = world.clock.now = time.time()
        for index in range(BATCH):
            who = {"phone_number_id": NUMBER, "wa_id": f"1555000{rng.randrange(PEOPLE):04d}", "received": now}
            world.pipeline.put(Message(**who, id=f"{name}-{batch}-{index}", type="text", timestamp=int(now)))  # type: ignore[arg-type]
            if index % 3 == 0:
                world.pipeline.put(Send(**who, id=f"b{name}-{batch}-{index}", kind="reply", accepted=True))  # type: ignore[arg-type]
            elif index % 7 == 0:
                world.pipeline.put(Call(**who, name="handover"))  # type: ignore[arg-type]
                spans = {"stalled_after": 5.0, "abandoned_after": 10.0, "expires_after": 20.0}
                world.pipeline.put(Step(**who, journey="order", step="menu", completes=False, **spans))  # type: ignore[arg-type]
        if world.pipeline.drain():  # else another attempt commits it with the next batch
            told.send(batch + 1)
        world.pipeline.sweep()


class Worker:
    """A process that commits under load."""

    def __init__(self, url: str, name: str) -> None:
        self.told, other = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=work, args=(url, name, other), daemon=True)
        self.process.start()
        other.close()
        self.batches = 0  # committed for sure

    def wait(self, seconds: float) -> None:
        """Wait for the next commit."""
        assert self.told.poll(seconds), "nothing was committed for long"
        self.batches = self.told.recv()

    def kill(self) -> None:
        """Kill it, and read what it had told before."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(10)
        try:
            while self.told.poll(0):
                self.batches = self.told.recv()
        except EOFError:
            self.told.close()


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_27_kills_under_load_lose_nothing_that_was_committed(store_url: str) -> None:
    """Three workers write to the same contacts. 25 times one of them is killed at any moment, and replaced."""
    open_store(store_url).cells()
    rng = random.Random(27)
    workers = [Worker(store_url, f"w{index}") for index in range(WORKERS)]
    committed = killed = 0
    try:
        while killed < KILLS:
            place = rng.randrange(WORKERS)
            victim = workers[place]
            victim.wait(60)
            victim.told.poll(rng.random() * 0.02)  # up to a commit's time later
            victim.kill()
            committed += victim.batches
            killed += 1
            workers[place] = Worker(store_url, f"k{killed}")
    finally:
        for worker in workers:
            worker.kill()
    committed += sum(worker.batches for worker in workers)
    store = open_store(store_url)
    world = World(store)
    world.clock.now = time.time() + 60
    for _ in range(20):  # the last commit of a killed process may still be under way on the server
        if world.pipeline.sweep():
            break
    world.conserve()
    received = world.count(catalogue.MESSAGES_RECEIVED)
    assert committed * BATCH <= received <= (committed + KILLS + WORKERS) * BATCH
    started, ended = world.count(catalogue.JOURNEY_RUNS_STARTED), world.count(catalogue.JOURNEY_RUNS)
    assert started == ended + world.count(catalogue.JOURNEY_RUNS_OPEN)
    assert world.count(catalogue.DUPLICATES) == 0
    assert world.count(catalogue.TURNS_OPENED) > 0
    store.close()
