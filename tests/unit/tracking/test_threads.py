from __future__ import annotations

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import context
from chatvitals.context import ContactIds, Handling
from chatvitals.tracking import threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ANN, BOB = ContactIds("1", "15550001111", ""), ContactIds("1", "15550002222", "")


@pytest.fixture(autouse=True)
def handed_on() -> Iterator[None]:
    """Contexts are handed on during each test, and nothing stays replaced afterwards."""
    before = threading.Thread.start, ThreadPoolExecutor.submit
    undo = threads.install()
    yield
    undo()
    assert (threading.Thread.start, ThreadPoolExecutor.submit) == before


class Webhook:
    """A webhook that is being handled."""

    def __init__(self, contact: ContactIds) -> None:
        self._handling = Handling((contact,))
        self._stack = ExitStack()

    def __enter__(self) -> None:
        self._stack.enter_context(context.bound(self._handling))

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        self._handling.end()


def _thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(60)


def _timer(call: Callable[[], None]) -> None:
    timer = threading.Timer(0, call)
    timer.start()
    timer.join(60)


def _pool(call: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result(60)


def _executor(call: Callable[[], None]) -> None:
    async def run() -> None:
        await asyncio.get_running_loop().run_in_executor(None, call)

    asyncio.run(run())


@pytest.mark.parametrize("way", [_thread, _timer, _pool, _executor])
def test_what_a_webhook_starts_knows_its_contact(way: Callable[[Callable[[], None]], None]) -> None:
    """Steps and handovers there need no `contact=`."""
    known: list[Any] = []
    with Webhook(ANN):
        way(lambda: known.append(context.current()))
    way(lambda: known.append(context.current()))
    assert known == [ANN, None]


def test_a_thread_of_a_pool_takes_nothing_over() -> None:
    """The first webhook starts it, and it works for all."""
    known: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        with Webhook(ANN):
            pool.submit(lambda: known.append(context.current())).result(60)
        with Webhook(BOB):
            pool.submit(lambda: known.append(context.current())).result(60)
        pool.submit(lambda: known.append(context.current())).result(60)
    assert known == [ANN, BOB, None]


def test_a_subclass_of_thread_runs_as_it_is() -> None:
    """Its `run` is the class's again, and its attributes are as bare."""
    known: list[Any] = []

    class Answer(threading.Thread):
        def run(self) -> None:
            known.extend((context.current(), "run" in vars(self)))

    with Webhook(ANN):
        thread = Answer()
        thread.start()
    thread.join(60)
    assert known == [ANN, False]


def test_79_a_timer_that_sets_the_next_timer_is_not_the_first_customers() -> None:
    """Such a chain goes on for days. Only its first job is certainly about the webhook."""
    known: list[Any] = []
    done = threading.Event()

    def tick() -> None:
        known.append(context.current())
        if len(known) == 3:
            done.set()
        else:
            threading.Timer(0, tick).start()

    with Webhook(ANN):
        threading.Timer(0, tick).start()
        assert done.wait(60)
    assert known == [ANN, None, None]


def _subclass(work: Callable[[], None]) -> None:
    class Worker(threading.Thread):
        def run(self) -> None:
            work()

    Worker().start()


def _job(work: Callable[[], None]) -> None:
    ThreadPoolExecutor(1).submit(work)


@pytest.mark.parametrize("start", [_subclass, _job])
def test_79_a_worker_within_other_functions_is_not_the_first_customers(
    start: Callable[[Callable[[], None]], None],
) -> None:
    """Whatever runs its loop, such as the method of a class."""
    known: list[Any] = []
    jobs: queue.Queue[threading.Event | None] = queue.Queue()

    def work() -> None:
        while True:
            job = jobs.get(timeout=60)
            if job is None:
                return
            known.append(context.current())
            job.set()

    for contact in (ANN, BOB):
        with Webhook(contact):
            if contact is ANN:
                start(work)
            job = threading.Event()
            jobs.put(job)
            assert job.wait(60)
    jobs.put(None)
    assert known == [ANN, None]


def test_what_a_job_returns_and_raises_passes() -> None:
    """A future has the same result and the same exception."""
    error = LookupError("host")

    def fail() -> None:
        raise error

    with Webhook(ANN), ThreadPoolExecutor(1) as pool:
        assert pool.submit(max, 1, 2).result(60) == 2
        assert pool.submit(fail).exception(10) is error
