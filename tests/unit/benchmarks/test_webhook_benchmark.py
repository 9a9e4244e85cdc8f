"""The benchmark works and prints its table. What it measures here means nothing."""

from __future__ import annotations

import json

import pytest

from tests.benchmarks import webhook
from tests.benchmarks.rounds import added
from tests.benchmarks.webhook import Row


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


def test_ratios_stand_first_in_the_table() -> None:
    """They say the same on a quick machine and on a slow one."""
    table = webhook.markdown([Row("time", 3.25, "µs", 12), Row("ratio", 0.2, "", 1)])
    assert [line.split(" | ")[0] for line in table.splitlines()[2:]] == ["| ratio", "| time"]


def test_differences_are_taken_within_a_round() -> None:
    """A slow round of the machine is slow for all, and cancels out."""
    assert added([11.0, 101.0, 12.0], [1.0, 91.0, 3.0]) == pytest.approx((10.0, 10.0))
