"""Sides of a comparison, and the usual range beside them."""

from __future__ import annotations

import pytest

from chatvitals.analysis.errors import TooLittleDataError
from chatvitals.analysis.figures import Figures
from chatvitals.analysis.numbers import Number
from chatvitals.analysis.periods import Calendar
from chatvitals.analysis.side_comparison import Side, _check_turns, _conclusions, _usual

CALENDAR = Calendar("Europe/Rome", 1_795_392_000.0)  # clocks changed on 25 October 2026
BAKERY = Number("1", "15550001234", "Bakery")


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


def number(turns: tuple[float, float]) -> dict[str, tuple[Figures, Figures]]:
    ours, other = turns
    return {"1": (Figures(turns=ours), Figures(turns=other))}


@pytest.mark.parametrize(("turns", "empty"), [((0.0, 5.0), "Monday"), ((5.0, 0.0), "Tuesday"), ((0.0, 0.0), "Monday")])
def test_a_side_without_turns_is_no_answer(turns: tuple[float, float], empty: str) -> None:
    """Each measure would look unchanged, and "answers did not get slower" would be read as good news."""
    with pytest.raises(TooLittleDataError, match=rf"{empty} has no turns at Bakery.*nothing to compare"):
        _check_turns([BAKERY], number(turns), (Side("Monday", []), Side("Tuesday", [])))


def test_sides_with_turns_are_compared() -> None:
    """One turn is enough, because the intervals show how little it is."""
    _check_turns([BAKERY], number((1.0, 1.0)), (Side("Monday", []), Side("Tuesday", [])))
    assert _conclusions([BAKERY], [BAKERY], number((1.0, 1.0)), Side("", [])) == [
        f"Answers did not get slower at {BAKERY}."
    ]
