"""The benchmark works and prints its table. The measured values here mean nothing."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks import scale, webhook
from tests.benchmarks.rounds import added
from tests.benchmarks.webhook import Row

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.slow
def test_the_benchmark_prints_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Each budget of the design has its row, with a figure that is a number."""
    webhook.main(["--tiny", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {row["budget"] for row in rows if row["unit"] == "µs"} >= {0.5}
    assert {row["budget"] for row in rows if row["unit"] in {"", "B", "ms"}} == {0.2, 1.0, 0.8, 1.05, 1.5, 600, 10}
    assert all(isinstance(row["value"], float) and row["what"] for row in rows)


def test_a_missed_budget_is_said() -> None:
    """The table hides nothing."""
    table = webhook.markdown(
        [Row("quick", 3.25, "µs", 12), Row("slow", 30.0, "µs", 12, "sorry"), Row("size", 504, "B")]
    )
    assert table.splitlines()[2:] == [
        "| quick | 3.2 µs | 12 µs | met |  |",
        "| slow | 30 µs | 12 µs | **budget not met** | sorry |",
        "| size | 504 B |  |  |  |",
    ]


def test_a_busy_machine_gets_no_verdict_about_webhooks() -> None:
    """The figures are shown all the same."""
    assert "met" not in webhook.markdown([Row("slow", 30.0, "µs", 12)], verdict=False)


@pytest.mark.parametrize("main", [webhook.main, scale.main])
def test_a_machine_with_one_core_is_told_so_before_anything_is_measured(
    main: Callable[[list[str]], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and the exit status 2, without a table."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert main([]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("This benchmark needs two cores")


def test_ratios_stand_first_in_the_table() -> None:
    """They say the same on a quick machine and on a slow one."""
    table = webhook.markdown([Row("time", 3.25, "µs", 12), Row("ratio", 0.2, "", 1)])
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| ratio", "| time"]


def test_differences_are_taken_within_a_round() -> None:
    """A slow round of the machine is slow for all, and cancels out."""
    assert added([11.0, 101.0, 12.0], [1.0, 91.0, 3.0]) == pytest.approx((10.0, 10.0))
