"""The benchmark over sockets: ratios within a round, and no verdict where the machine cannot give one."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from tests.benchmarks import sockets
from tests.benchmarks.sockets import Figures

if TYPE_CHECKING:
    import pytest


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
    """A machine on which some rounds of a subject are disturbed."""

    def __init__(self, disturbed: dict[str, set[int]]) -> None:
        self._disturbed = disturbed
        self.turns: list[int] = []

    def figures(self, kind: str, turn: int, *_: object) -> Figures:
        self.turns.append(turn)
        return figures(1 + turn, 1e-4)._replace(kept=0.4 if turn in self._disturbed.get(kind, ()) else 0.9)


def _measured(
    monkeypatch: pytest.MonkeyPatch, disturbed: dict[str, set[int]]
) -> tuple[_Machine, dict[str, list[Figures]]]:
    machine = _Machine(disturbed)
    monkeypatch.setattr(sockets, "_figures", machine.figures)
    options = argparse.Namespace(rate=800.0, seconds=1.0, rounds=2)
    return machine, sockets.measure({"bare": "bare", "memory": "memory:"}, options, [])


def test_a_disturbed_round_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts for no subject, because only ratios within a round are true."""
    machine, found = _measured(monkeypatch, {"memory:": {0}})
    assert machine.turns == [0, 0, 1, 1, 2, 2]
    assert [each.latency["p99"] for each in found["bare"]] == [0.002, 0.003]
    assert [each.latency["p99"] for each in found["memory"]] == [0.002, 0.003]
    assert sockets._lack(found, 2) == ""


def test_a_busy_machine_gets_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """After twice as many rounds, it ends."""
    machine, found = _measured(monkeypatch, {"bare": {0, 1, 3}})
    assert max(machine.turns) == 3
    assert sockets._lack(found, 2) == "Others had a core: 1 of 4 rounds count, so there is no verdict."
