"""The benchmark of scrapes: its bots have as many series as it says, and a bad machine gets no verdict."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

from chatvitals.metrics import catalogue
from chatvitals.stores.memory import MemoryStore
from tests.benchmarks import cells, conditions, scrapes
from tests.benchmarks.scrapes import Cost, Stall

if TYPE_CHECKING:
    import pytest


def test_ten_business_numbers_have_twelve_thousand_lines() -> None:
    """The budget of 60 ms is for these."""
    cost = scrapes.cost("memory:", 10, 1)
    assert 12_000 <= cost.lines < 13_000
    assert cost.packed > 10_000


def test_all_cells_belong_to_families_of_the_catalogue() -> None:
    """A misspelled name or a missing label would make a scrape cheaper than it is."""
    store = MemoryStore()
    cells.fill(store, 2)
    before = store.cells().keys()
    cells.touch(store, 2)
    assert store.cells().keys() == before
    for name, labels, _ in before:
        family = catalogue.FAMILIES[name]
        assert family.per_number
        assert len(labels) == len(family.all_labels), name


def test_a_missed_budget_of_a_scrape_is_named() -> None:
    """The note names each budget that was missed, and nothing else."""
    slow, long = Cost(12_000, 99.0, 5.0, 61.0, 70_000), Stall(1.0, 11.0, 1.0, 20.0)
    assert scrapes.missed(10, slow, long) == ["CPU above 60 ms", "worst delay above 10 ms"]
    assert scrapes.missed(100, slow, Stall(1.0, 9.0, 1.0, 20.0)) == []


def test_a_machine_that_lacks_something_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package, a program or a second core."""
    assert conditions.missing(["pytest"], ["sh"]) == ""
    assert conditions.missing(["no_such_package"]).startswith("This benchmark needs the package no_such_package")
    assert conditions.missing(["no_such.package"]).startswith("This benchmark needs the package no_such.package")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert conditions.missing([], ["redis-server"]).startswith("This benchmark needs the program redis-server")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert conditions.missing([]).startswith("This benchmark needs two cores")


def test_a_bot_that_does_not_keep_up_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, and no verdict."""

    def fails(_: object) -> list[str]:
        raise RuntimeError("the server did not keep up")

    monkeypatch.setattr(scrapes, "missing", lambda *_: "")
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None)
    monkeypatch.setattr(scrapes, "rows", fails)
    assert scrapes.main([]) == 2
    assert capsys.readouterr().err == "There is no verdict: the server did not keep up.\n"


def test_a_busy_machine_gets_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the CPU time of other processes counts, not that of the benchmark itself."""
    now, busy, own = [0.0], [0.0], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(conditions, "_busy", lambda _host: busy[0])
    monkeypatch.setattr(conditions, "_own", lambda: own[0])
    others = conditions.Others()
    now[0], busy[0], own[0] = 10.0, 15.0, 14.5
    assert others.complaint() == ""
    busy[0] = 20.0
    assert others.complaint() == "Other processes used 0.6 cores meanwhile, so there is no verdict."
