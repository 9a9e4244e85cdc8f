"""Sides of a comparison, and the usual range beside them."""

from __future__ import annotations

import pytest

from chatvitals.analysis.periods import Calendar
from chatvitals.analysis.side_comparison import Side, _usual

CALENDAR = Calendar("Europe/Rome", 1_795_392_000.0)  # clocks changed on 25 October 2026


@pytest.mark.parametrize(
    ("on", "against", "days"),
    [
        ("2026-10-28", "2026-10-27", ("26", "25", "24", "23")),
        ("2026-10-26", "2026-10-25", ("24", "23", "22", "21")),
        ("2026-10-26", "2026-10-28", ("25", "24", "23", "22")),
    ],
)
def test_the_usual_range_is_of_whole_days_across_a_change_of_clocks(
    on: str, against: str, days: tuple[str, ...]
) -> None:
    ours, other = (Side("", [CALENDAR.day(day, "--on")]) for day in (on, against))
    usual = _usual(other, ours, 0.0, CALENDAR)[: len(days)]
    whole = [CALENDAR.day(f"2026-10-{day}", "--on") for day in days]
    assert [(each.start, each.end) for each in usual] == [(each.start, each.end) for each in whole]
