"""The demo's live view: it explains itself and fits small terminals. The end is a sentence before the table."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from chatvitals.demo import comparison, runner
from chatvitals.demo.comparison import Reported, Row
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.rating_timeline import Seen
from chatvitals.demo.scenarios import OUTAGE, QUALITY_DROP, SCENARIOS
from chatvitals.demo.view import LEGEND, PlainView, RichView, Snapshot, live_lines


def busy() -> Snapshot:
    """Return a moment with large numbers, trouble and ratings."""
    truth = Truth(messages=123_456, gave_up=1_234, blocked=1_234)
    for step in ("menu", "item", "address", "pickup", "payment", "paid"):
        truth.order.reached[step] = 12_345
    return Snapshot(4_321.0, 321, truth, Reported(messages=123_450), trouble=True, seen=Seen())


def test_the_live_view_fits_24_lines_of_60_columns_with_its_legend() -> None:
    """Three lines of title and an empty one come on top."""
    shown = [*live_lines(busy()), "", *LEGEND]
    assert len(shown) <= 24 - 3
    assert max(map(len, shown)) <= 60
    assert not [line for line in shown if " / " in line]


@pytest.mark.parametrize("terminal", [True, False])
def test_plain_lines_fit_a_terminal_and_stay_whole_in_a_log(
    terminal: bool,  # noqa: FBT001 - a parameter of the test
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A terminal cuts words at its edge. A search in a log should find the whole state."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    view = PlainView()
    for scenario in SCENARIOS.values():
        view.start(scenario, "http://127.0.0.1:9464/metrics")
    started = capsys.readouterr().out.splitlines()
    view.show(busy())
    shown = capsys.readouterr().out.splitlines()
    if terminal:
        assert max(map(len, (*started, *shown))) <= 80
        assert [line[:7] for line in shown[1:]] == [" " * 7] * 3
    else:
        assert [line for line in started if line.startswith("chatvitals demo, ")] == started[::3]
        assert len(shown) == 1


def test_the_commands_to_copy_fit_80_columns() -> None:
    """A terminal that wraps them shows no longer where they end."""
    world: Any = SimpleNamespace(
        bot=SimpleNamespace(url="http://127.0.0.1:65535"),
        graph_url="http://127.0.0.1:65535",
        app_id="990007778889990",
        folder=Path("/tmp/chatvitals-demo-abcdefgh"),
    )
    sentences = runner._invitations(world)
    assert "chatvitals doctor" in sentences[-1]
    assert max(map(len, "\n".join(sentences).splitlines())) <= 80


def test_a_first_moment_without_numbers_says_so() -> None:
    """The first scrape takes a second."""
    assert live_lines(Snapshot(0.2, 4, Truth(), None, trouble=False))[-1] == "The first numbers come in a moment."


def test_titles_fit_60_columns() -> None:
    """Longer ones are wrapped, within the lines that are left."""
    assert all(len(scenario.about) <= 120 for scenario in SCENARIOS.values())


@pytest.mark.parametrize(
    ("lost", "paid", "said"),
    [
        (57, 120, "Slow answers cost 57 orders: so many customers gave up. 120 orders paid for."),
        (1, 1, "Slow answers cost 1 order: so many customers gave up. 1 order paid for."),
        (0, 3, "Nobody left without an answer. 3 orders paid for."),
    ],
)
def test_what_happened_is_a_sentence(lost: int, paid: int, said: str) -> None:
    """It names the lost events."""
    assert QUALITY_DROP.outcome(lost, paid) == said
    assert OUTAGE.outcome(2, 5).startswith("The outage cost 2 orders")


def test_the_sentence_comes_before_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """In plain lines and on a terminal."""
    rows = comparison.compare(Truth(), comparison.parse(""))
    console = Console(file=io.StringIO(), width=80)
    PlainView().end(rows, "It was quiet.")
    RichView(console).end(rows, "It was quiet.")
    assert isinstance(console.file, io.StringIO)
    for text in (capsys.readouterr().out, console.file.getvalue()):
        assert text.index("It was quiet.") < text.index("Customers and metrics agree.") < text.index("messages")


def test_late_failures_may_set_counts_apart() -> None:
    """The reply had been counted as an answer when its failure came. The row says so."""
    told = "chatvitals_turns_opened_total 1\n"
    assert [row.name for row in comparison.compare(Truth(), comparison.parse(told)) if not row.agrees] == ["turns"]
    told += "chatvitals_late_failures_total 1\n"
    rows = {row.name: row for row in comparison.compare(Truth(), comparison.parse(told))}
    assert rows["turns"].agrees
    assert rows["turns"].allowed == "± 1 failed late"
    assert rows["messages"].allowed == "exact"


def test_the_row_of_a_percentile_says_that_the_bucket_is_compared() -> None:
    """The value in it is interpolated, and may lie outside of what the customers measured."""
    truth = Truth()
    truth.wrote("anyone", 100.0)
    truth.turns[0].wait = 1.6
    told = 'chatvitals_response_seconds_bucket{le="1"} 0\nchatvitals_response_seconds_bucket{le="2"} 1\n'
    row = next(row for row in comparison.compare(truth, comparison.parse(told)) if row.name == "response p95")
    assert row.agrees
    assert row.reported == "1.95 s in 1-2 s"
    assert row.parts == "its bucket counts"
    assert "response p95 (its bucket counts): customers" in comparison.verdict([replace(row, agrees=False)])


def test_the_closing_table_fits_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Also after a long run, with late failures and all ratings. In 24 lines there is room for the sentences, too."""
    count = "999 / 999 / 999"
    rows = [
        *comparison.compare(Truth(), comparison.parse("chatvitals_late_failures_total 12\n")),
        Row("response p95", "12.66 s", "12.92 s in 10-30 s", "11.35 to 12.90 s", agrees=True),
        Row("not understood", count, count, "exact", agrees=True),
        Row("ratings", "GREEN, YELLOW, RED, YELLOW", "UNKNOWN, GREEN, YELLOW, RED", "the same, to RED", agrees=False),
    ]
    console = Console(file=io.StringIO(), width=80)
    PlainView().end(rows, "It was quiet.")
    RichView(console).end(rows, "It was quiet.")
    assert isinstance(console.file, io.StringIO)
    for text in (capsys.readouterr().out, console.file.getvalue()):
        table = text[text.index("customers  ") :].splitlines()
        assert max(len(line.rstrip()) for line in table) <= 80
        assert len(table) <= len(rows) + 2, "only the ratings take a second line"
        assert text.count(count) == 2
        assert "…" not in text
