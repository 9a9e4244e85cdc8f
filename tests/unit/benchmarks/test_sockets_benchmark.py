"""The benchmark over sockets: ratios within a round, and no verdict where the machine cannot give one."""

from __future__ import annotations

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


def test_others_that_took_most_of_a_round_leave_no_verdict() -> None:
    """The table says how many requests are left out."""
    found = {"bare": [figures(1, 1e-4)], "memory": [figures(1, 2e-4)._replace(kept=0.4)]}
    table = sockets.markdown(found, verdict=False)
    assert table.endswith("Left out, because others had a core: 30 % of the requests.")
    assert sockets._lack(found).startswith("Others had a core: only 40 % of a round's requests count")
    assert sockets._lack({"bare": [figures(1, 1e-4)]}) == ""
