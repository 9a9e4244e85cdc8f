"""Cases 24, 25 and 32 of tests/safety/README.md: trouble with the store's file never changes the bot's answers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chatvitals.events import Message
from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals
from tests.helpers.waiting import MOST_SECONDS, returned, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp
    from chatvitals.stores.base import Store
    from chatvitals.testing import FakeClock

NUMBER = BusinessNumber()
RECEIVED = ("chatvitals_messages_received_total", (NUMBER.phone_number_id, "text"), 0)


async def answer(request: Request) -> PlainTextResponse:
    """Answer as the bot does."""
    body = await request.body()
    return PlainTextResponse(f"{len(body)}", status_code=200 if body else 400, headers={"x-bot": "yes"})


def make_bot(vitals: Vitals | None) -> Starlette:
    app = Starlette(routes=[Route("/webhook", answer, methods=["POST"])])
    if vitals is not None:
        vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
    return app


def webhook(index: int) -> bytes:
    person = Person("", phone=f"1555{index:07d}")
    content = {"type": "text", "text": {"body": "hello"}}
    return payloads.webhook(NUMBER, [payloads.message(person, f"wamid.{index}", content, at=time.time())])


class Trial:
    """A bot with chatvitals and one without, both asked the same."""

    def __init__(self, vitals: Vitals, port: int, bare_port: int) -> None:
        self.vitals = vitals
        self.store = vitals.store
        self._ports = (port, bare_port)
        self._asked = 0
        self._client = httpx.Client(trust_env=False, timeout=MOST_SECONDS)

    def ask(self, times: int) -> None:
        """Post webhooks to both bots and compare what they answer, header for header."""
        for _ in range(times):
            body = webhook(self._asked)
            self._asked += 1
            answers = [self._client.post(f"http://127.0.0.1:{port}/webhook", content=body) for port in self._ports]
            seen = [(one.status_code, one.headers.multi_items(), one.content) for one in answers]
            assert seen[0] == seen[1]

    def scrape(self) -> str:
        """Return what `/metrics` says."""
        answer = self._client.get(f"http://127.0.0.1:{self._ports[0]}/metrics")
        assert answer.status_code == 200
        return answer.text

    def scrape_until(self, line: str) -> None:
        """Scrape until a line is shown. The thread shows a change some time after the store has it."""
        until(line, lambda: line in self.scrape())

    def counted(self, wanted: int = 0) -> float:
        """Return how many messages the store has, once it has as many as wanted."""
        store = SQLiteStore(self.path)
        until(f"{wanted} messages", lambda: store.cells().get(RECEIVED, 0.0) >= wanted)
        found = store.cells().get(RECEIVED, 0.0)
        store.close()
        return found

    @property
    def path(self) -> Path:
        """The store's file."""
        assert isinstance(self.store, SQLiteStore)
        return self.store.path

    def close(self) -> None:
        """End the started parts."""
        self._client.close()
        self.vitals.close()


@pytest.fixture
def trial(serve: Callable[[ASGIApp], int]) -> Iterator[Callable[..., Trial]]:
    """Make a pair of bots on a store. `queue_size` and other settings may be given."""
    made: list[Trial] = []

    def make(store: Store, **settings: Any) -> Trial:
        vitals = Vitals(Settings.load({"hooks": False, "settle_after": 0.0, **settings}, {}), store=store)
        made.append(Trial(vitals, serve(make_bot(vitals)), serve(make_bot(None))))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_file_that_is_locked_for_seconds_delays_numbers_and_nothing_else(
    trial: Callable[..., Trial], tmp_path: Path
) -> None:
    """Another process holds the lock. Answers are as bare, and every message is counted afterwards."""
    bot = trial(SQLiteStore(tmp_path / "s.db"))
    bot.ask(5)
    assert bot.counted(5) == 5
    other = sqlite3.connect(bot.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    bot.ask(5)
    bot.scrape_until("chatvitals_store_up 0.0")
    bot.ask(5)
    other.execute("ROLLBACK")
    other.close()
    wanted = bot._asked
    assert bot.counted(wanted) == wanted
    bot.scrape_until("chatvitals_store_up 1.0")


def test_a_full_database_keeps_events_until_there_is_room(
    trial: Callable[..., Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own quota stands for a full disk: nothing is lost, and what waits is counted once there is room."""
    quota = {"pages": 1_000_000}
    prepare = SQLiteStore._prepare

    def prepare_with_quota(store: SQLiteStore, connection: sqlite3.Connection) -> None:
        prepare(store, connection)
        connection.execute(f"PRAGMA max_page_count = {quota['pages']}")

    monkeypatch.setattr(SQLiteStore, "_prepare", prepare_with_quota)
    store = SQLiteStore(tmp_path / "s.db")
    bot = trial(store)
    bot.ask(10)
    assert bot.counted(10) == 10
    with bot.vitals._pipeline._work:  # otherwise the thread may keep its connection
        quota["pages"] = 1  # never below what is there: no page more
        store.close()
    bot.ask(200)
    bot.scrape_until("chatvitals_store_up 0.0")
    with bot.vitals._pipeline._work:  # amid an attempt its events do not wait
        assert bot.counted() + bot.vitals._pipeline.waiting == 210
        assert bot.vitals._pipeline.waiting
    quota["pages"] = 1_000_000
    assert bot.counted(210) == 210


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a disk for a test. Without the right to mount, the test is skipped."""
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if mount is None or umount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_survived(
    trial: Callable[..., Trial], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a real disk without room the log says so in words. Once there is room, what waited is counted."""
    with small_disk(tmp_path / "disk", "2m") as disk:
        bot = trial(SQLiteStore(disk / "s.db"))
        bot.ask(10)
        assert bot.counted(10) == 10
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as out, suppress(OSError):  # until there is no space left on the device
            while True:
                out.write(b"x" * 1024)
        told = "the disk that holds the store file s.db is full"

        def is_told() -> bool:
            bot.ask(20)  # the log may still have had some room in its last pages
            return any(told in record.message for record in caplog.records)

        until(told, is_told)
        filler.unlink()
        wanted = bot._asked
        assert bot.counted(wanted) == wanted
        bot.close()


def test_a_file_that_is_removed_costs_what_was_in_it_and_no_more(trial: Callable[..., Trial], tmp_path: Path) -> None:
    """A new file is begun under the running bot."""
    bot = trial(SQLiteStore(tmp_path / "s.db"))
    bot.ask(5)
    assert bot.counted(5) == 5
    for path in tmp_path.glob("s.db*"):
        path.unlink()
    bot.ask(7)
    assert bot.counted(7) == 7


def test_a_folder_that_may_not_be_written_to_bounds_the_queue_and_counts_what_is_dropped(
    trial: Callable[..., Trial], tmp_path: Path
) -> None:
    """Nothing can ever be stored. At most `queue_size` events wait, and `/metrics` counts the lost events."""
    with read_only(tmp_path / "disk") as folder:
        bot = trial(SQLiteStore(folder / "s.db"), queue_size=50)
        bot.ask(120)
        with bot.vitals._pipeline._work:  # amid an attempt its events do not wait
            metrics, waiting = bot.scrape(), bot.vitals._pipeline.waiting
        assert "chatvitals_store_up 0.0" in metrics
        assert waiting <= 50
        assert f'chatvitals_events_dropped_total{{reason="queue_full"}} {120 - waiting}.0' in metrics
        bot.close()


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """Give a folder that is a read-only replica. Root needs a file system of its own for that."""
    if os.geteuid() != 0:
        folder.mkdir(mode=0o500)
        yield folder
        return
    with small_disk(folder, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield folder


class LockedStore(SQLiteStore):
    """A store whose file is locked until a point in time of a fake clock."""

    def __init__(self, path: Path, clock: FakeClock, until: float) -> None:
        super().__init__(path)
        self.clock = clock
        self.until = until

    def _connection(self) -> Any:
        if self.clock.now < self.until:
            raise sqlite3.OperationalError("database is locked")
        return super()._connection()


def test_thirty_seconds_of_lock_lose_nothing_within_the_bound(tmp_path: Path, clock: FakeClock) -> None:
    """Each second of 30 a batch arrives and cannot be stored. Afterwards all are there, with their own times."""
    store = LockedStore(tmp_path / "s.db", clock, clock.now + 30)
    vitals = Vitals(
        Settings.load({"hooks": False, "settle_after": 0.0}, {}), store=store, clock=clock, background=False
    )
    for second in range(30):
        for index in range(20):
            vitals.observe_webhook(webhook(second * 20 + index))
        assert not vitals._pipeline.drain()
        clock.advance(1.0)
    assert vitals._pipeline.waiting == 600
    assert vitals._pipeline.drain()
    assert store.cells()[RECEIVED] == 600
    vitals.close()


def test_a_full_queue_drops_the_oldest_and_keeps_its_bound_through_failed_commits(
    tmp_path: Path, clock: FakeClock
) -> None:
    """What a failed commit puts back does not make the queue grow for ever. Every event is counted or dropped."""
    store = LockedStore(tmp_path / "s.db", clock, clock.now + 30)
    settings = Settings.load({"hooks": False, "settle_after": 0.0, "queue_size": 100}, {})
    vitals = Vitals(settings, store=store, clock=clock, background=False)
    for index in range(1000):
        vitals._emit(
            Message(phone_number_id="1", wa_id=f"{index}", id=f"wamid.{index}", type="text", received=clock.now)
        )
        if not index % 50:
            vitals._pipeline.drain()
        assert vitals._pipeline.waiting <= 100
    clock.advance(31)
    vitals._pipeline.drain()
    vitals._pipeline.drain()
    vitals.settle()
    cells = store.cells()
    assert cells["chatvitals_messages_received_total", ("1", "text"), 0] == 100
    assert cells[catalogue.EVENTS_DROPPED.name, ("queue_full",), 0] == 900
    vitals.close()


def test_no_call_on_the_bots_path_waits_for_a_locked_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An experiment's variant is drawn on the bot's path, while whatever waits for the locked file waits on."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 600.0)
    vitals = Vitals(Settings.load({"hooks": False, "store": f"sqlite:///{tmp_path / 's.db'}"}, {}))
    greeting = vitals.experiment("greeting", variants={"plain": 1.0, "emoji": 1.0})
    vitals.settle(MOST_SECONDS)
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert returned(lambda: greeting.variant(contact="15550001111", phone_number_id="1")) in {"plain", "emoji"}
    other.execute("ROLLBACK")
    other.close()
    vitals.close()
