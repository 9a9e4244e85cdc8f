"""Cases 24 to 33 of tests/safety/README.md: events while the store or the process is in trouble."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Never

import pytest

from chatvitals.events import Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.testing import FakeClock
from tests.helpers.numbered_messages import message
from tests.helpers.single_worker import EPOCH, World
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.stores.base import Store
    from tests.conftest import Swallowed

RECEIVED = catalogue.MESSAGES_RECEIVED


DROPPED = catalogue.EVENTS_DROPPED


@pytest.fixture
def running() -> Iterator[Callable[..., Pipeline]]:
    """Start pipelines with their thread, and close them."""
    started: list[Pipeline] = []

    def start(store: Store, **settings: Any) -> Pipeline:
        loaded = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef", **settings}, environ={})
        started.append(Pipeline(loaded, store, ErrorGuard(), FakeClock(EPOCH)))
        return started[-1]

    yield start
    for pipeline in started:
        pipeline.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SQLiteStore]:
    """A store whose folder `home` can be moved away and back."""
    (tmp_path / "home").mkdir()
    store = SQLiteStore(tmp_path / "home" / "store.db")
    yield store
    store.close()


def total(store: Store, name: str, *labels: str) -> float:
    return sum(
        value
        for (family, values, field), value in store.cells().items()
        if family == name and field == 0 and all(label in values for label in labels)
    )


# The queue


def test_a_full_queue_drops_the_oldest_and_counts_them() -> None:
    """The latest events are the ones that matter when the store comes back."""
    world = World(queue_size=3)
    for index, kind in enumerate(("audio", "video", "text", "text", "image")):
        world.pipeline.put(message(index, kind))
    assert world.pipeline.waiting == 3
    assert world.pipeline.drain()
    world.at(0)
    assert world.count(RECEIVED) == 3
    assert world.count(RECEIVED, "audio") == world.count(RECEIVED, "video") == 0
    assert world.count(DROPPED, "queue_full") == 2


def test_the_events_of_a_webhook_count_one_by_one_against_the_bound() -> None:
    """A POST of a thousand updates does not pass for one event. One larger than the queue still goes through."""
    world = World(queue_size=4)
    for start in (0, 10, 20):
        world.pipeline.put(Webhook(result="accepted", received=EPOCH, events=[message(start + i) for i in range(3)]))
    assert world.pipeline.waiting == 3
    world.pipeline.put(Webhook(result="accepted", received=EPOCH, events=[message(40 + i) for i in range(9)]))
    assert world.pipeline.drain()
    world.at(0)
    assert world.count(RECEIVED) == 9
    assert world.count(DROPPED, "queue_full") == 9


def test_memory_is_bounded_while_the_store_is_away(tmp_path: Path) -> None:
    """Whatever is put back after a failed commit stays within the bound too."""
    world = World(SQLiteStore(tmp_path / "no" / "store.db"), queue_size=10)
    for index in range(50):
        world.pipeline.put(message(index))
        if index % 7 == 0:
            assert not world.pipeline.drain()
        assert world.pipeline.waiting <= 10
        assert len(world.pipeline._queue) <= 10


def test_the_queue_keeps_its_bound_where_events_come_during_a_failed_attempt() -> None:
    """The oldest are dropped and counted, whether they waited or were under way."""
    store = MemoryStore()
    world = World(store, queue_size=4)
    world.pipeline.hasher()
    for index in range(4):
        world.pipeline.put(message(index, "audio"))
    with_lock = store.transaction

    def away() -> Never:
        for index in range(3):
            world.pipeline.put(message(10 + index))
        raise StoreUnavailableError("away")

    store.transaction = away  # type: ignore[method-assign]
    assert not world.pipeline.drain()
    assert world.pipeline.waiting == len(world.pipeline._queue) == 4
    store.transaction = with_lock  # type: ignore[method-assign]
    assert world.pipeline.drain()
    world.at(0)
    assert (world.count(RECEIVED, "audio"), world.count(RECEIVED)) == (1, 4)
    assert world.count(DROPPED, "queue_full") == 3


# The store in trouble


def _folder_away(store: SQLiteStore) -> None:
    store.path.parent.rename(store.path.parent.with_name("away"))


def _folder_back(store: SQLiteStore) -> None:
    store.path.parent.with_name("away").rename(store.path.parent)


def _garbage(store: SQLiteStore) -> None:
    for path in store.path.parent.glob("store.db*"):
        path.rename(path.with_name("kept-" + path.name))
    store.path.write_bytes(b"garbage" * 1000)


def _garbage_gone(store: SQLiteStore) -> None:
    for path in store.path.parent.glob("kept-*"):
        path.rename(path.with_name(path.name.removeprefix("kept-")))


@pytest.mark.parametrize(
    ("breaks", "repairs"), [(_folder_away, _folder_back), (_garbage, _garbage_gone)], ids=["folder", "garbage"]
)
def test_nothing_is_lost_while_the_store_is_away(
    sqlite: SQLiteStore,
    breaks: Callable[[SQLiteStore], None],
    repairs: Callable[[SQLiteStore], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Events wait, `store_up` is 0, the log says what to do. Afterwards everything is there, without a restart."""
    world = World(sqlite)
    world.hears(0, "m0")
    assert world.pipeline.store_up
    sqlite.close()
    breaks(sqlite)
    for index in range(1, 6):
        world.pipeline.put(message(index))
        assert not world.pipeline.drain()
    assert not world.pipeline.sweep()
    assert not world.pipeline.store_up
    assert world.pipeline.waiting == 5
    assert "the store file store.db" in caplog.text
    repairs(sqlite)
    assert world.pipeline.drain()
    assert world.pipeline.store_up
    world.at(20)
    assert world.count(RECEIVED) == 6
    assert world.count(catalogue.TURNS_OPENED) == 6
    assert world.count(catalogue.INTERNAL_ERRORS, "store") == 6


def test_a_file_that_is_damaged_under_a_running_process_is_begun_anew_once_it_is_moved_away(
    sqlite: SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Events in it are lost, later events are not."""
    world = World(sqlite)
    world.hears(0, "m0")
    sqlite.close()
    sqlite.path.write_bytes(b"garbage" * 1000)
    world.pipeline.put(message(1))
    assert not world.pipeline.drain()
    assert "is damaged: move it away" in caplog.text
    sqlite.path.unlink()
    assert world.pipeline.drain()
    assert world.count(RECEIVED) == 1


def test_a_full_disk_degrades_and_recovers(sqlite: SQLiteStore) -> None:
    """A write that the system refuses undoes the whole commit. It is made again when there is room."""
    world = World(sqlite)
    world.hears(0, "m0")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for index in range(1, 40):
        world.pipeline.put(message(index))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        taken = world.pipeline.drain()
        up = world.pipeline.store_up
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not taken
    assert not up
    assert world.pipeline.waiting == 39
    assert world.pipeline.drain()
    world.at(20)
    assert world.count(RECEIVED) == 40
    assert world.count(catalogue.TURNS_OPENED) == 40


_LOCKS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def test_a_file_that_another_process_has_locked_holds_nobody_up(
    sqlite: SQLiteStore, running: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot's puts return while the file is locked. Once it is free everything is counted."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 0.05)
    pipeline = running(sqlite)
    pipeline.put(message(0))
    pipeline.settle(MOST_SECONDS)
    command = [sys.executable, "-c", _LOCKS, str(sqlite.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        for index in range(1, 100):
            pipeline.put(message(index))
        pipeline.settle(MOST_SECONDS)
        assert not pipeline.store_up
        assert total(sqlite, RECEIVED.name) == 1
        other.communicate("go\n")
    pipeline.settle(MOST_SECONDS)
    assert pipeline.store_up
    assert total(sqlite, RECEIVED.name) == 100
    assert total(sqlite, DROPPED.name, "queue_full") == 0


# Threads


def test_no_thread_runs_before_the_first_event(running: Callable[..., Pipeline]) -> None:
    """Importing and configuring in a parent that will fork starts nothing. Then there is one daemon thread."""

    def ours() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "chatvitals"}

    before = ours()  # of other tests, which may end at any time
    pipeline = running(MemoryStore())
    assert ours() <= before
    for index in range(3):
        pipeline.put(message(index))
    (thread,) = ours() - before
    assert thread.daemon
    pipeline.close()
    thread.join(MOST_SECONDS)
    assert not thread.is_alive()


def test_where_no_thread_can_be_started_the_caller_s_own_commits(
    running: Callable[..., Pipeline], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers without threads lose no number, and need no scrape in each of their processes for it."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    store = MemoryStore()
    pipeline = running(store)
    for index in range(3):
        pipeline.put(message(index))
    assert len(swallowed.take("pipeline")) == 1
    assert pipeline.waiting == 0
    assert total(store, RECEIVED.name) == 3
    pipeline.settle()
    assert total(store, catalogue.INTERNAL_ERRORS.name, "pipeline") == 1


def test_75_a_worker_of_a_pool_waits_once_for_a_store_that_is_away(
    running: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It commits on the thread of the task, where each attempt may take seconds. The end of the process is another."""
    monkeypatch.setattr("chatvitals.runtime.fork_hooks.is_pool_worker", lambda: True)
    asked: list[float] = []

    class Away(MemoryStore):
        def transaction(self) -> Any:
            asked.append(EPOCH)
            if len(asked) == 1:
                raise StoreUnavailableError("away")
            return super().transaction()

    store = Away()
    pipeline = running(store)
    for index in range(3):
        pipeline.put(message(index))
    assert (len(asked), pipeline.waiting) == (1, 3)
    pipeline.close()
    assert total(store, RECEIVED.name) == 3


def test_the_thread_outlives_what_goes_wrong_in_it(
    running: Callable[..., Pipeline], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error outside any single event costs one round."""
    store = MemoryStore()
    pipeline = running(store)
    sweep = pipeline.sweep
    failing = True

    def once(**more: bool) -> bool:
        nonlocal failing
        if failing:
            failing = False
            raise OSError("once")
        return sweep(**more)

    monkeypatch.setattr(pipeline, "sweep", once)
    pipeline.put(message(0))
    pipeline.settle(MOST_SECONDS)
    pipeline.put(message(1))
    pipeline.settle(MOST_SECONDS)
    assert total(store, RECEIVED.name) == 2
    assert len(swallowed.take("pipeline")) == 1


def test_what_a_commit_holds_takes_effect_or_waits_as_a_whole(sqlite: SQLiteStore) -> None:
    """A transaction that another process prevents leaves neither states nor cells behind."""
    world = World(sqlite)
    world.hears(0, "m0")
    cells = sqlite.cells()
    world.pipeline.put(message(1))
    with sqlite3.connect(sqlite.path) as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    sqlite.close()
    assert not world.pipeline.drain()
    with sqlite3.connect(sqlite.path) as other:
        other.execute("PRAGMA user_version = 3")
    other.close()
    assert sqlite.cells() == cells
    assert world.pipeline.drain()
    world.at(20)
    assert world.count(catalogue.TURNS_OPENED) == 2
