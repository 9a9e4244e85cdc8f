"""The benchmark over sockets: ratios within a round, and no verdict where the machine cannot give one."""

from __future__ import annotations

import argparse
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import conditions, socket_load, socket_servers, sockets
from tests.benchmarks.socket_load import Latencies
from tests.benchmarks.sockets import Figures
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


def figures(milliseconds: float, cpu: float) -> Figures:
    return Figures(dict.fromkeys(("p50", "p90", "p99", "p99.9", "max"), milliseconds / 1000), cpu, 0.0004)


def test_a_subject_is_compared_with_the_bare_bot_of_its_round() -> None:
    """A slow round slows all of them."""
    found = {
        "bare": [figures(1, 1e-4), figures(10, 1e-4), figures(2, 1e-4)],
        "SQLite": [figures(1.1, 2e-4), figures(11, 2e-4), figures(2.2, 2e-4)],
    }
    line = sockets.markdown(found, verdict=True).splitlines()[-1]
    assert line == "| SQLite | 1.10 x | 1.10 x | 1.10 x | 1.10 x | 1.10 x | +100 µs | 0.4 ms | met |"


def test_a_missed_budget_is_named() -> None:
    """The quantile that missed it stands beside the figures."""
    found = {"bare": [figures(1, 0)], "memory": [figures(1.2, 0)]}
    assert "budget not met: p99 above 1.15" in sockets.markdown(found, verdict=True)
    assert "no verdict" in sockets.markdown(found, verdict=False)


def test_cpu_is_compared_with_what_the_exporter_adds() -> None:
    """A store that adds more than its share is named with the share."""
    found = {"bare": [figures(1, 1e-4)], "exporter": [figures(1, 2e-4)]}
    found |= {"SQLite": [figures(1, 2e-4)], "memory": [figures(1, 1.9e-4)]}
    sqlite, memory = sockets.markdown(found, verdict=True).splitlines()[-2:]
    assert sqlite.endswith("| met |")
    assert memory.endswith("| budget not met: CPU 0.90 x the exporter's, above 0.8 |")


def test_one_core_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Bot and load would wait for each other."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert sockets.main([]) == 2
    assert "needs two cores" in capsys.readouterr().err


def test_requests_that_others_disturbed_are_told() -> None:
    """The table says how many are left out."""
    found = {"bare": [figures(1, 1e-4)], "memory": [figures(1, 2e-4)._replace(kept=0.4)]}
    assert sockets.markdown(found, verdict=False).endswith("Left out, because others had a core: 30 % of the requests.")


class _Machine:
    """A machine on which others disturb the turns of some subjects. Each request takes as many seconds as its turn."""

    def __init__(self, kept: dict[str, float]) -> None:
        self._kept = kept
        self.turns: list[str] = []

    @contextmanager
    def served(self, kind: str, *_: object, **__: object) -> Iterator[tuple[str, int]]:
        yield kind, 0

    def load(self, kind: str, requests: list[bytes], *_: object) -> Latencies:
        self.turns.append(kind)
        kept = self._kept.get(kind, 1.0)
        return Latencies([len(self.turns)] * int(kept * len(requests)), [0.0], kept)


def _measured(monkeypatch: pytest.MonkeyPatch, kept: dict[str, float]) -> tuple[list[str], dict[str, list[Figures]]]:
    machine = _Machine(kept)
    monkeypatch.setattr(socket_servers, "served", machine.served)
    monkeypatch.setattr(socket_servers, "cpu", lambda _: 0.0)
    monkeypatch.setattr(socket_load, "run", machine.load)
    monkeypatch.setattr(sockets, "_SETTLED", 0.0)
    options = argparse.Namespace(
        rate=8.0, seconds=2.0, rounds=2, numbers=1, workers=0, scrape_every=0.0, store_trouble=False
    )
    return machine.turns, sockets.measure({"bare": "bare", "memory": "memory:"}, options, [])


def test_subjects_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine does in a round falls on all of them. The first turn of each warms it up."""
    turns, found = _measured(monkeypatch, {})
    first, second = turns[:6], turns[6:]
    assert first == ["bare", "memory:", "bare", "memory:", "memory:", "bare"]
    assert second == ["memory:", "bare", "memory:", "bare", "bare", "memory:"]
    assert [each.latency["max"] for each in found["bare"]] == [6, 11]
    assert sockets._lack(found, 2) == ""


def test_a_disturbed_subject_gets_further_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs half of the requests that it would have without disturbance."""
    turns, found = _measured(monkeypatch, {"memory:": 0.375})
    assert turns[:7].count("memory:") == 4
    assert turns[:7].count("bare") == 3
    assert [each.kept for each in found["memory"]] == [0.375, 0.375]
    assert sockets._lack(found, 2) == ""


def test_a_busy_machine_gets_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """After twice as many turns, a round ends. It counts for no subject, as only ratios within a round are true."""
    turns, found = _measured(monkeypatch, {"bare": 0.125})
    assert turns.count("bare") == 2 * (1 + 4)
    assert found == {"bare": [], "memory": []}
    assert sockets._lack(found, 2) == "Others had a core: 0 of 2 rounds count, so there is no verdict."


@pytest.mark.skipif(bool(conditions.missing([])), reason="the benchmark needs Linux and two cores")
def test_cores_stay_awake_only_while_the_benchmark_runs() -> None:
    """Bot, load and Redis go before the processes that keep a core awake."""
    with socket_servers.awake() as processes:
        until("both leave their core to others", lambda: {*map(os.sched_getscheduler, processes)} == {os.SCHED_IDLE})
    assert not [each for each in processes if Path(f"/proc/{each}").exists()]
