"""Forged webhooks, full queues and broken rows: tests/safety/README.md 61 to 68."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from chatvitals.exporters.prometheus import VitalsCollector, render
from chatvitals.metrics import catalogue
from chatvitals.metrics.cardinality import SERIES_CAP
from chatvitals.quality import state
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.base import Changes, StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.stores.base import Store
    from tests.conftest import Swallowed

NOW = 1_700_000_000.0


def vitals(store: Store | None = None, url: str = "memory:", **settings: Any) -> Vitals:
    """Return vitals without a thread and with a clock that stands still."""
    loaded = Settings.load({"store": url, "hooks": False, **settings}, {})
    return Vitals(loaded, store=store, clock=lambda: NOW, background=False)


def message(number: str = "1", person: str = "4915", message_id: str = "wamid.1") -> dict[str, Any]:
    """Return an entry with one message."""
    item = {"from": person, "id": message_id, "timestamp": str(int(NOW)), "type": "text"}
    value = {"metadata": {"phone_number_id": number}, "messages": [item]}
    return {"id": "1", "changes": [{"field": "messages", "value": value}]}


def template(name: str, language: str = "de", waba: str = "1") -> dict[str, Any]:
    """Return an entry with one decision about a template."""
    value = {"event": "APPROVED", "message_template_name": name, "message_template_language": language}
    return {"id": waba, "time": int(NOW), "changes": [{"field": "message_template_status_update", "value": value}]}


def body(*entries: dict[str, Any]) -> bytes:
    """Return a webhook's body."""
    return json.dumps({"entry": entries}).encode()


def page(bot: Vitals) -> str:
    """Return the text of `/metrics`."""
    return render(bot.collector)[0].decode()


class Failing(MemoryStore):
    """A store that can be read. Writes fail while `full`."""

    full = False

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """Fail while full."""
        if self.full:
            raise StoreUnavailableError("the disk is full")
        with super().transaction() as transaction:
            yield transaction


# 61: the collector in the host's registry


@pytest.mark.parametrize(
    "labels",
    ["not json", "7", '[1, "text"]', '["half \\ud83d", "text"]', '["two\\nlines", "text"]', '{"a": 1}'],
)
def test_61_a_row_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path, labels: str) -> None:
    """The families of the host and all other rows stay."""
    path = tmp_path / "store.db"
    bot = vitals(url=f"sqlite:///{path}")
    bot.observe_webhook(body(message()))
    bot.settle()
    registry = CollectorRegistry()
    Counter("my_orders", "Of the host.", registry=registry).inc()
    registry.register(bot.collector)
    with sqlite3.connect(path) as file:
        file.execute("INSERT INTO cells VALUES ('chatvitals_messages_received_total', ?, 0, 1.0)", (labels,))
    text = generate_latest(registry).decode()
    assert "my_orders_total 1.0" in text
    assert 'chatvitals_messages_received_total{phone_number_id="1",type="text"} 1.0' in text
    assert 'chatvitals_internal_errors_total{where="state"}' in page(bot)
    bot.close()


def test_61_an_exporter_counts_what_it_cannot_read(tmp_path: Path) -> None:
    """It commits nothing, so it counts for itself, and its counter never falls."""
    store = SQLiteStore(tmp_path / "store.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={("chatvitals_clock_skews_total", (), 0): 1.0}))
    with sqlite3.connect(tmp_path / "store.db") as file:
        file.execute("INSERT INTO cells VALUES ('chatvitals_clock_skews_total', 'no labels', 0, 1.0)")
    settings = Settings.load({"store": "memory:"}, environ={})
    collector = VitalsCollector(settings, store, None, ErrorGuard(), {})
    for scrape in (1.0, 2.0):
        text = render(collector)[0].decode()
        assert f'chatvitals_internal_errors_total{{where="state"}} {scrape}' in text
        assert "chatvitals_clock_skews_total 1.0" in text
    store.close()


def test_a_collector_in_multiprocess_mode_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """prometheus_client's handlers then show no collector of any registry. The log names the ways out."""
    bot = vitals()
    CollectorRegistry().register(bot.collector)
    assert not caplog.records
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    for _ in range(2):
        CollectorRegistry().register(bot.collector)
    (record,) = caplog.records
    assert "multiprocess mode" in record.getMessage()
    assert "metrics_path=" in record.getMessage()
    bot.close()


@pytest.mark.parametrize("value", [None, "text", b"blob"])
def test_61_a_value_that_is_no_number_is_left_out(tmp_path: Path, value: object) -> None:
    """SQLite keeps anything in any column, and NaN as NULL."""
    bot = vitals(url=f"sqlite:///{tmp_path / 'store.db'}")
    bot.observe_webhook(body(message()))
    bot.settle()
    with sqlite3.connect(tmp_path / "store.db") as file:
        row = ("chatvitals_messages_received_total", '["2", "text"]', 0, value)
        file.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", row)
    assert 'phone_number_id="2"' not in page(bot)
    assert bot.store.unreadable == 1
    bot.close()


@pytest.mark.parametrize("place", ["cells", "oldest_open", "document"])
def test_61_a_bug_of_ours_leaves_the_hosts_families(swallowed: Swallowed, place: str) -> None:
    """Whatever a store raises, the collector shows what it can."""

    class Broken(MemoryStore):
        def __getattribute__(self, name: str) -> Any:
            if name == place and broken:
                raise KeyError(name)
            return super().__getattribute__(name)

    broken: list[bool] = []
    bot = vitals(Broken())
    broken.append(True)
    registry = CollectorRegistry()
    Counter("my_orders", "Of the host.", registry=registry).inc()
    registry.register(bot.collector)
    text = generate_latest(registry).decode()
    assert "my_orders_total 1.0" in text
    assert "chatvitals_build_info" in text
    assert swallowed.take("metrics")
    swallowed.take("pipeline")


def test_61_a_document_of_a_newer_version_is_left_out(swallowed: Swallowed) -> None:
    """Its gauges are missing. The counters stay."""
    bot = vitals()
    bot.observe_webhook(body(message()))
    bot.settle()
    with bot.store.transaction() as transaction:
        transaction.commit(Changes(documents={state.DOCUMENT: b"\xc1"}))
    assert 'chatvitals_messages_received_total{phone_number_id="1",type="text"} 1.0' in page(bot)
    swallowed.take("state")


# 62: what the store refuses


def test_62_an_event_that_the_store_refuses_costs_only_itself(tmp_path: Path, swallowed: Swallowed) -> None:
    """It is found, counted and dropped. Those before and behind it count."""
    bot = vitals(url=f"sqlite:///{tmp_path / 'store.db'}")
    bot.observe_webhook(body(message(message_id="wamid.0")))
    bot.settle()
    store: Any = bot.store
    store._connection().setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4000)  # stands for SQLite's own limit of 1 GB
    bot.observe_webhook(body(*(template("x" * 400 + str(index)) for index in range(40))))
    for index in range(1, 21):
        bot.observe_webhook(body(message(message_id=f"wamid.{index}")))
    for _ in range(3):
        bot._pipeline.drain()
    assert bot._pipeline.waiting == 0
    assert bot.store.cells()["chatvitals_messages_received_total", ("1", "text"), 0] == 21.0
    assert swallowed.take("reducer")
    bot.close()


# 63: only writes fail


def test_63_drops_show_while_only_writes_fail_and_do_not_show_twice() -> None:
    """The alert on drops must not stay silent during the outage."""
    store = Failing()
    bot = vitals(store, queue_size=10)
    bot.observe_webhook(body(message()))
    bot.settle()
    store.full = True
    for index in range(50):
        bot.observe_webhook(body(message(message_id=f"wamid.{index}")))
    bot._pipeline.drain()
    shown = 'chatvitals_events_dropped_total{reason="queue_full"} 40.0'
    assert shown in page(bot)
    assert shown in page(bot)
    store.full = False
    bot.settle()
    assert shown in page(bot)
    assert store.cells()[catalogue.EVENTS_DROPPED.name, ("queue_full",), 0] == 40.0


def test_63_what_a_commit_takes_during_the_read_is_not_added(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cells may hold it already."""
    store = Failing()
    bot = vitals(store)
    bot._pipeline.hasher()
    bot._pipeline.own.drop("queue_full", 3)
    bot.observe_webhook(body(message()))
    read = store.cells

    def cells() -> Any:
        bot._pipeline.drain()
        return read()

    monkeypatch.setattr(store, "cells", cells)
    bot._pipeline.store_up = False
    shown = bot.collector.snapshot().values[catalogue.EVENTS_DROPPED.name]["queue_full",]
    assert shown == {0: 3.0}


# 64: a full queue


def test_64_a_full_queue_reads_nothing_on_the_bots_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the signature nor the body of what makes room is looked at."""
    store = Failing()
    store.full = True
    bot = vitals(store, app_secret="s")
    big = body(*(message(message_id=f"wamid.{index}") for index in range(15_000)))
    looked: list[str] = []
    monkeypatch.setattr(signatures, "check", lambda *_: looked.append("check"))
    for _ in range(20):
        bot._emit(bot.webhook_sink.receive(big, "sha256=0"))
    assert looked == []
    assert bot._pipeline.waiting <= bot._pipeline.capacity
    bot._pipeline.drain()
    bot._pipeline._queue.clear()


def test_64_a_webhook_of_usual_size_is_counted_exactly_when_it_is_dropped() -> None:
    """The pipeline's thread reads it for that."""
    store = Failing()
    bot = vitals(store, queue_size=2)
    store.full = True
    for index in range(3):
        bot.observe_webhook(body(message(message_id=f"a{index}"), message(message_id=f"b{index}")))
    bot._pipeline.drain()
    dropped = bot._pipeline.own.waiting().increments[catalogue.EVENTS_DROPPED.name, ("queue_full",), 0]
    assert dropped % 2 == 0
    assert dropped > 0


# 66, 67: labels


def test_66_a_configured_number_cannot_be_pushed_out() -> None:
    """However many numbers a forged webhook names before the first real one."""
    bot = vitals(phone_number_id="REAL")
    bot.observe_webhook(body(*(message(f"forged-{index}", "49", f"w{index}") for index in range(200))))
    bot.settle()
    bot.observe_webhook(body(message("REAL")))
    bot.settle()
    assert ("chatvitals_messages_received_total", ("REAL", "text"), 0) in bot.store.cells()
    assert page(bot).count("\n") < 3000


def test_66_without_a_secret_few_numbers_are_admitted() -> None:
    """A few thousand series at most, although nobody has named a number."""
    bot = vitals()
    bot.observe_webhook(body(*(message(f"forged-{index}", "49", f"w{index}") for index in range(500))))
    bot.settle()
    assert page(bot).count("\n") < 6000


def test_66_a_name_longer_than_any_of_metas_is_not_stored() -> None:
    """A forged template name of 3 MB would be written again with each event."""
    bot = vitals()
    for index in range(3):
        bot.observe_webhook(body(template("x" * 3_000_000 + str(index), "y" * 1_000_000, "w" * 100_000)))
        bot.settle()
    assert len(bot.store.document(state.DOCUMENT) or b"") < 100_000


def test_66_the_series_of_one_family_are_capped() -> None:
    """Three labels within their caps have 8 million combinations."""
    bot = vitals()
    for start in range(0, 7500, 2500):
        names = [
            template(f"t{at // 200 % 200}", f"l{at // 40_000}", str(at % 200)) for at in range(start, start + 2500)
        ]
        bot.observe_webhook(body(*names))
        bot.settle()
    cells = bot.store.cells()
    found = {cell: value for cell, value in cells.items() if cell[0] == catalogue.TEMPLATE_STATUS_CHANGES.name}
    assert len(found) <= SERIES_CAP
    assert sum(found.values()) == 7500.0
    assert cells[catalogue.SERIES_OVERFLOW.name, ("series",), 0] > 0


def test_67_the_label_cap_holds_for_all_workers_together(tmp_path: Path) -> None:
    """Each worker learns what the others have admitted before it admits more."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    workers = [_worker(url) for _ in range(4)]
    for worker in workers:
        worker._pipeline.hasher()  # each has started before the others have seen anything
    for at, worker in enumerate(workers):
        for index in range(100):
            worker.observe_webhook(body(message(f"n{at}-{index}", message_id=f"wamid.{at}.{index}")))
        worker.settle()
    cells = workers[0].store.cells()
    numbers = {labels[0] for name, labels, _ in cells if name == "chatvitals_messages_received_total"}
    assert len(numbers) == 51
    for worker in workers:
        worker.close()


def test_67_a_value_of_a_commit_that_failed_takes_no_place() -> None:
    """It is asked for again with the next try."""
    store = Failing()
    bot = vitals(store, label_cap=1, app_secret=None)
    bot.observe_webhook(body(message("first")))
    store.full = True
    bot._pipeline.drain()
    bot._pipeline._queue.clear()
    store.full = False
    bot.observe_webhook(body(message("second")))
    bot.settle()
    assert ("chatvitals_messages_received_total", ("second", "text"), 0) in store.cells()


def _worker(url: str) -> Vitals:
    settings = Settings.load({"store": url, "hooks": False, "label_cap": 50, "app_secret": None}, {})
    worker = Vitals(settings, clock=lambda: NOW, background=False)
    worker._pipeline._committer._labels._most_numbers = 50  # as with signed webhooks
    return worker
