"""What customers measured is compared with what chatvitals reports."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from chatvitals.demo import comparison
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.scenarios import OUTAGE
from chatvitals.demo.view import RichView, Snapshot, line, table_lines

EXPOSITION = """
# HELP chatvitals_messages_received Inbound messages.
# TYPE chatvitals_messages_received counter
chatvitals_messages_received_total{phone_number_id="1",type="text"} 5.0
chatvitals_messages_received_total{phone_number_id="1",type="reaction"} 1.0
# HELP chatvitals_turns_opened Turns.
# TYPE chatvitals_turns_opened counter
chatvitals_turns_opened_total{phone_number_id="1",turn="first"} 2.0
chatvitals_turns_opened_total{phone_number_id="1",turn="next"} 2.0
# HELP chatvitals_turns Turns.
# TYPE chatvitals_turns counter
chatvitals_turns_total{phone_number_id="1",turn="first",outcome="answered"} 1.0
chatvitals_turns_total{phone_number_id="1",turn="next",outcome="answered"} 2.0
chatvitals_turns_total{phone_number_id="1",turn="next",outcome="failed"} 0.0
# HELP chatvitals_turns_open Turns.
# TYPE chatvitals_turns_open gauge
chatvitals_turns_open{phone_number_id="1"} 1.0
# HELP chatvitals_response_seconds Responses.
# TYPE chatvitals_response_seconds histogram
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="1.0"} 0.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="2.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="+Inf"} 1.0
chatvitals_response_seconds_count{phone_number_id="1",turn="first"} 1.0
chatvitals_response_seconds_sum{phone_number_id="1",turn="first"} 1.5
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="1.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="2.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="+Inf"} 2.0
chatvitals_response_seconds_count{phone_number_id="1",turn="next"} 2.0
chatvitals_response_seconds_sum{phone_number_id="1",turn="next"} 3.5
"""


def _measured(*waits: float, waiting: int = 1) -> Truth:
    truth = Truth()
    for index, wait in enumerate(waits):
        truth.wrote(str(index), 0.0)
        truth.got_reply(str(index), wait)
    for index in range(waiting):
        truth.wrote(f"waiting {index}", 0.0)
    return truth


def test_a_scrape_is_summed_over_its_series() -> None:
    """Types, turns and outcomes add up. The quantile is interpolated within its bucket."""
    reported = comparison.parse(EXPOSITION)
    assert (reported.messages, reported.opened, reported.answered, reported.unanswered) == (6, 4, 3, 1)
    assert reported.mean == pytest.approx(5 / 3)
    bucket = reported.bucket(0.5)
    assert bucket is not None
    assert bucket == pytest.approx((1.0, 2.0, 1.5))
    assert reported.bucket(0.95) == (2.0, float("inf"), 2.0)


def test_both_sides_agree_when_counts_are_equal_and_times_close() -> None:
    """Times may differ by what the ways take. Each row says how much."""
    truth = _measured(0.6, 1.4, 2.9)
    truth.reacted()
    truth.reacted()
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert [row.name for row in rows if not row.agrees] == []
    assert comparison.verdict(rows) == "Customers and metrics agree."


def test_a_count_that_is_off_by_one_disagrees_by_name() -> None:
    """Counts are exact, and the verdict names the row with both values."""
    truth = _measured(0.6, 1.4, 2.9, waiting=2)
    truth.reacted()
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert {row.name for row in rows if not row.agrees} == {"turns", "without an answer"}
    assert "turns: customers measured 5, metrics say 4 (allowed: exact)" in comparison.verdict(rows)


def test_times_that_are_too_far_apart_disagree() -> None:
    """A mean or a quantile outside its tolerance is a disagreement."""
    truth = _measured(3.0, 3.1, 3.2)
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert {"response mean", "response p50"} <= {row.name for row in rows if not row.agrees}


def test_a_late_webhook_widens_the_tolerance() -> None:
    """Within WhatsApp's whole second the bot's side cannot know when a delayed message was written."""
    truth = _measured(1.9, 2.3, 2.4)
    rows, reported = (4, 5), comparison.parse(EXPOSITION)
    assert [comparison.compare(truth, reported)[row].agrees for row in rows] == [False, False]
    for turn in truth.turns:
        turn.unknown = 0.4
    assert [comparison.compare(truth, reported)[row].agrees for row in rows] == [True, True]


def test_nothing_measured_and_nothing_reported_agree() -> None:
    """Without an answered turn there is no time to compare."""
    rows = comparison.compare(Truth(), comparison.parse(""))
    assert all(row.agrees for row in rows)
    assert rows[4].measured == rows[4].reported == "-"


def test_the_closing_table_is_aligned_text() -> None:
    """A plain terminal gets columns, and a NO where both sides disagree."""
    lines = table_lines(comparison.compare(_measured(0.6, 1.4, 2.9), comparison.parse(EXPOSITION)))
    assert lines[0].split() == ["customers", "metrics", "allowed", "agree"]
    assert lines[1].startswith("messages")
    assert lines[1].endswith("NO")
    assert {text[lines[0].index("agree") :] for text in lines[1:]} == {"yes", "NO"}


def test_a_moment_is_one_line() -> None:
    """The line shows both sides and says when there is trouble."""
    reported = comparison.parse(EXPOSITION)
    shown = line(Snapshot(4.0, 2, _measured(1.0), reported, trouble=True))
    assert "[trouble]" in shown
    assert "customers: 2 turns, 1 answered, 1 waiting, mean 1.00 s" in shown
    assert "metrics: 4 turns, 3 answered, 1 waiting, mean 1.67 s" in shown
    assert "nothing yet" in line(Snapshot(0.0, 0, Truth(), None, trouble=False))


def test_a_terminal_gets_a_moving_table_and_the_closing_one() -> None:
    """The live view shows both sides and the trouble. At the end stand the rows and the verdict."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    shown, truth, reported = RichView(console), _measured(0.6, 1.4, 2.9), comparison.parse(EXPOSITION)
    shown.start(OUTAGE, "http://127.0.0.1:9464/metrics")
    shown.show(Snapshot(4.0, 2, truth, reported, trouble=True))
    shown.say("Nobody writes any more.")
    shown.end(comparison.compare(truth, reported), "It was quiet.")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for words in ("TROUBLE", "Nobody writes any more.", "without an answer", "Customers and metrics disagree."):
        assert words in text
