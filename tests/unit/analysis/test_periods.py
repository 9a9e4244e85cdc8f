"""Moments and periods as people write them."""

from __future__ import annotations

import time

import pytest

from chatvitals.analysis.errors import WrongNameError
from chatvitals.analysis.history import DAY, HOUR
from chatvitals.analysis.periods import Calendar

NOW = 1_795_392_000.0  # 23 November 2026, 00:00 UTC


def test_a_day_begins_at_the_midnight_of_its_zone() -> None:
    rome, utc = (Calendar(zone, NOW).day("2026-11-10", "--on") for zone in ("Europe/Rome", "UTC"))
    assert utc.start - rome.start == HOUR
    assert (rome.name, rome.days) == ("Tue 10 Nov", 1)


def test_a_day_on_which_clocks_change_is_longer() -> None:
    assert (
        Calendar("Europe/Rome", NOW).day("2026-10-25", "--on").end
        - Calendar("Europe/Rome", NOW).day("2026-10-25", "--on").start
        == 25 * HOUR
    )


def test_a_length_ends_where_the_other_period_begins() -> None:
    calendar = Calendar("UTC", NOW)
    after = calendar.period("2026-11-10T06:00..2026-11-11", "--after")
    before = calendar.period("8d", "--before", after)
    assert (before.end, before.days) == (after.start, 8)


def test_an_open_end_is_now() -> None:
    assert Calendar("UTC", NOW).period("2026-11-20..", "--after").end == NOW


def test_an_offset_wins_over_the_zone() -> None:
    calendar = Calendar("Europe/Rome", NOW)
    assert calendar.moment("2026-11-10T00:00+00:00", "--from") == calendar.day("2026-11-10", "--on").start + HOUR


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-11-10..x", "", "8x", "9999999-01-01", "0001-01-01"])
def test_what_is_no_period_is_a_sentence(text: str) -> None:
    with pytest.raises(WrongNameError, match="--after must be"):
        Calendar("Asia/Tokyo", NOW).period(text, "--after")


def test_an_empty_period_is_a_sentence() -> None:
    with pytest.raises(WrongNameError, match="--after is empty"):
        Calendar("UTC", NOW).period("2026-11-10..2026-11-10", "--after")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe/\x00"])
def test_an_unknown_zone_is_a_sentence(zone: str) -> None:
    with pytest.raises(WrongNameError, match="--tz: there is no time zone"):
        Calendar(zone, NOW)


def test_days_end_at_midnights() -> None:
    assert Calendar("UTC", NOW).midnight(NOW + 5 * HOUR) == NOW
    assert Calendar("UTC", NOW).midnight(NOW - 1) == NOW - DAY


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Rome", "2026-10-25T02:30:00+01:00"),
        ("America/Havana", "2026-11-01T00:30:00-05:00"),  # its midnight comes twice
    ],
)
def test_a_day_has_one_midnight_when_clocks_change(zone: str, night: str) -> None:
    calendar = Calendar(zone, NOW)
    day = calendar.day(night[:10], "--on")
    assert calendar.midnight(calendar.moment(night, "--on")) == day.start
    assert calendar.midnight(day.end - 1) == day.start


def test_a_day_has_one_midnight_in_the_time_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Rome")
    time.tzset()
    try:
        calendar = Calendar(None, NOW)
        day = calendar.day("2026-10-25", "--on")
        assert (day.days * 24, calendar.midnight(day.end - 1)) == (25, day.start)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_earlier_day_begins_at_its_own_midnight() -> None:
    calendar = Calendar("Europe/Rome", NOW)
    changed = calendar.day("2026-10-25", "--on")
    assert calendar.length(changed) == 1
    found = [calendar.earlier(calendar.day("2026-10-27", "--on"), days) for days in (1, 2, 3)]
    assert [(each.start, each.end) for each in found] == [
        (day.start, day.end) for day in (calendar.day(f"2026-10-{day}", "--on") for day in (26, 25, 24))
    ]
