"""The pipeline's thread gives way, stores say what endangers them, and secrets are compared in constant time."""

from __future__ import annotations

import hmac
import json
import logging
import os
import threading
import time
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import chatvitals
from chatvitals.conversations.intake import apply_event
from chatvitals.events import Message
from chatvitals.exporters import prometheus
from chatvitals.pipeline import contact_batch
from chatvitals.pipeline.store_advice import StoreAdvice
from chatvitals.runtime import greenlets, pacing, workers
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import open_store, redis_codec
from chatvitals.stores.base import Changes
from chatvitals.stores.memory import MemoryStore
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.testing import FakeClock, payloads
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures, webhook_parser

if TYPE_CHECKING:
    from pathlib import Path

    from chatvitals.metrics.measurements import Cell


def test_65_the_thread_gives_way_where_another_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not sleep before, and it sleeps for longer than no time at all."""
    now, slept, switches = [0.0], list[float](), [1]
    made_up = SimpleNamespace(perf_counter=lambda: now[0], sleep=slept.append)
    monkeypatch.setattr(pacing, "time", made_up)  # other threads of this process sleep, too
    monkeypatch.setattr(pacing, "_switches", lambda: switches[0])
    monkeypatch.setattr(pacing, "_yield_core", lambda: 0)
    monkeypatch.setattr(greenlets, "has_real_threads", lambda: True)
    monkeypatch.setattr(pacing, "_has_one_core", lambda: False)
    pace = pacing.Pace()
    now[0] = 0.00006
    pace.give_way()
    assert slept == []  # nobody waits
    switches[0] = 2
    now[0] = 0.00008
    pace.give_way()
    assert slept == []  # the last look was a moment ago
    now[0] = 0.0001
    pace.give_way()
    pace.give_way()
    assert len(slept) == 1
    assert 0.0 < slept[0] < 0.001


@pytest.mark.parametrize("cores", [1, 2])
def test_65_the_thread_finds_a_real_thread_that_waits(cores: int) -> None:
    """A thread that asks for the lock is seen, and it gets the lock in the middle of the work."""
    seen: list[int] = []
    work = [0]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:cores])

    def ask() -> None:
        while len(set(seen)) <= 10 and len(seen) < 10_000:  # other processes may have the cores meanwhile
            time.sleep(0.0005)
            seen.append(work[0])

    thread = threading.Thread(target=ask)
    try:
        with pacing.paced():
            thread.start()
            end = time.perf_counter() + 60
            while thread.is_alive() and time.perf_counter() < end:
                work[0] += 1
                pacing.give_way()
        thread.join()
    finally:
        os.sched_setaffinity(0, before)
    assert len(set(seen)) > 10


def test_65_only_a_paced_thread_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the bot that decodes a webhook never pauses."""
    slept: list[int] = []
    monkeypatch.setattr(pacing, "_MOST_AT_ONCE", 0.0)
    monkeypatch.setattr(pacing, "_PIECE", 0.0)
    monkeypatch.setattr(pacing, "_has_one_core", lambda: False)
    noting = SimpleNamespace(perf_counter=lambda: 0.0, sleep=lambda _: slept.append(threading.get_ident()))
    monkeypatch.setattr(pacing, "time", noting)
    ids: list[int] = []

    def background() -> None:
        ids.append(threading.get_ident())
        pacing.begin()
        pacing.give_way()

    pacing.give_way()
    thread = threading.Thread(target=background)
    thread.start()
    thread.join()
    assert threading.get_ident() not in slept
    assert [ident for ident in slept if ident in ids] == ids  # threads of other tests may still run


def test_65_a_thread_of_the_bot_is_paced_for_a_scrape_only() -> None:
    """A page that is rendered on a thread of the bot gives way. Its other work does not."""
    with pacing.paced():
        assert pacing._thread.pace is not None
    assert pacing._thread.pace is None


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_65_reading_many_cells_gives_way(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family of a thousand series is read in pieces of fifty."""
    cells: dict[Cell, float] = {("chatvitals_turns_open", (str(index), "first", ""), 0): 1.0 for index in range(1000)}
    calls: list[int] = []
    monkeypatch.setattr(pacing, "give_way", lambda: calls.append(1))
    if kind == "sqlite":
        store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
        with store.transaction() as transaction:
            transaction.commit(Changes(increments=cells))
        calls.clear()
        found = store.cells()
    else:
        names = msgspec.msgpack.encode(list(cells))
        found, _ = redis_codec.cells([names, b" ".join([b"1"] * len(cells))])
    assert found == cells
    assert len(calls) == 20


def test_65_a_long_webhook_gives_way_between_its_items() -> None:
    """A body of two hundred statuses is converted in two hundred pieces."""
    steps = [{"status": "read", "contact": "A", "id": f"r{index}"} for index in range(200)]
    calls: list[int] = []
    webhook = webhook_parser.decode(json.dumps(payloads.webhook(steps, 0)).encode(), give_way=lambda: calls.append(1))
    assert len(webhook.events) == 200
    assert len(calls) == 199


def test_65_each_part_of_a_batch_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read after each decoded, reduced or written event, and after 16 small steps.

    The small steps are sorting, hashing and two looks for the contact.
    """
    clock = FakeClock(1_700_000_000.0)
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=clock, background=False)
    calls: list[int] = []
    monkeypatch.setattr(pacing.Pace, "give_way", lambda _: calls.append(1))
    reduced: list[int] = []

    def counted(*arguments: Any) -> None:
        reduced.append(len(calls))
        apply_event(*arguments)

    monkeypatch.setattr(contact_batch, "apply_event", counted)
    for index in range(160):
        vitals._emit(Message(phone_number_id="1", wa_id=str(index), received=clock(), id=str(index), type="text"))
    with pacing.paced():
        vitals._pipeline.drain()
    assert len(calls) >= 3 * 160 + 4 * 160 // 16
    assert max(Counter(reduced).values()) == 1


def test_66_without_a_secret_the_start_says_so(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, with what to do. With a secret nothing is said."""
    monkeypatch.delenv("CHATVITALS_APP_SECRET", raising=False)
    with caplog.at_level(logging.WARNING, "chatvitals"):
        chatvitals.init(store="memory:", hooks=False).close()
        assert [record.getMessage() for record in caplog.records if "No app_secret is set" in record.getMessage()]
        caplog.clear()
        chatvitals.init(store="memory:", hooks=False, app_secret="s").close()
        assert "app_secret" not in caplog.text


@pytest.mark.parametrize(
    ("command", "environ", "count"),
    [
        (["python", "uvicorn", "--workers", "4", "bot:app"], {}, 4),
        (["gunicorn", "-w", "3"], {}, 3),
        (["gunicorn", "-w3"], {}, 3),
        (["hypercorn", "--workers=2"], {"WEB_CONCURRENCY": "9"}, 2),
        (["python", "bot.py"], {"WEB_CONCURRENCY": "2"}, 2),
        (["python", "bot.py"], {"WEB_CONCURRENCY": "many"}, 1),
        (["uvicorn", "--workers"], {}, 1),
        ([], {}, 1),
    ],
)
def test_72_the_number_of_workers_is_read(command: list[str], environ: dict[str, str], count: int) -> None:
    """From the command of the server, else from the variable that servers read."""
    assert workers.count(environ, command) == count


def test_72_several_workers_on_a_store_in_memory_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them would show other numbers."""
    monkeypatch.setattr(workers, "count", lambda: 2)
    assert "several workers" in MemoryStore().advice()
    monkeypatch.setattr(workers, "count", lambda: 1)
    assert MemoryStore().advice() == ""


def test_72_a_forked_child_of_a_store_in_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a copy of what its parent knew."""
    monkeypatch.setattr(workers, "count", lambda: 1)
    store = MemoryStore()
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert "several workers" in store.advice()


def test_72_advice_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Every five minutes, for as long as it holds."""

    class Endangered(MemoryStore):
        def advice(self) -> str:
            return "the store may delete parts"

    guard, now = ErrorGuard(), [0.0]
    ask = StoreAdvice(Endangered(), guard, lambda: now[0])
    with caplog.at_level(logging.WARNING, "chatvitals"):
        ask()
        ask()
    assert guard.errors == {"store": 1}
    assert "the store may delete parts" in caplog.text
    now[0] = 301.0
    ask()
    assert guard.errors == {"store": 2}


def test_04_a_group_of_exceptions_passes_the_guard() -> None:
    """A group holds what somebody else raised, also where it holds exceptions alone."""
    with pytest.raises(ExceptionGroup), ErrorGuard()("place"):
        raise ExceptionGroup("of the host", [ValueError()])


def test_54_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signature and bearer token go through `hmac.compare_digest`."""
    compared: list[Any] = []
    compare = hmac.compare_digest

    def noted(left: Any, right: Any) -> bool:
        compared.append(left)
        return compare(left, right)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    assert signatures.check(b"body", signatures.sign(b"body", "s"), ("s",))
    assert len(compared) == 1
    assert prometheus.allows("token", [b"Bearer token"])
    assert len(compared) == 2


def test_29_no_connection_stays_open_over_a_fork(tmp_path: Path) -> None:
    """SQLite notes a process's locks in its memory, and a child would believe them to be its own."""
    store = SQLiteStore(tmp_path / "store.db")
    store.cells()
    connection = store._connection()
    store.before_fork()
    try:
        with pytest.raises(Exception, match="closed"):
            connection.execute("SELECT 1")
        assert not list(store._open)
    finally:
        store.after_fork_in_parent()
    assert store.cells() == {}
    store.close()


@pytest.mark.parametrize("store_url", ["sqlite", "redis"], indirect=True)
def test_65_a_commit_gives_way_between_its_rows(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The statements of SQLite and the packing for Redis take milliseconds for a batch."""
    store = open_store(store_url)
    calls: list[int] = []
    monkeypatch.setattr(pacing, "give_way", lambda: calls.append(1))
    with store.transaction() as transaction:
        transaction.commit(Changes(states=dict.fromkeys(range(100), (b"row", 1.0))))
    store.close()
    assert len(calls) >= 5
