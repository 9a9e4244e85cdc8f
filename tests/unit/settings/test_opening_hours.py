"""Opening hours are local, and a wrong schedule is refused with its mistake."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chatvitals.settings import OpeningHours, SettingsError
from tests.helpers.loaded_settings import load

ROME = {
    "timezone": "Europe/Rome",
    "days": {"mon": [["09:00", "12:30"], ["14:00", "18:00"]], "sun": [["00:00", "24:00"]]},
}


def rome(year: int, month: int, day: int, hour: int, minute: int = 0, *, fold: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Rome"), fold=fold).timestamp()


def hours(**changes: Any) -> OpeningHours:
    schedule = load(in_hours=ROME | changes).in_hours
    assert schedule is not None
    return schedule


@pytest.mark.parametrize(
    ("hour", "minute", "open_"),
    [(8, 59, False), (9, 0, True), (12, 29, True), (12, 30, False), (14, 0, True), (17, 59, True), (18, 0, False)],
)
def test_a_start_is_included_and_an_end_is_not(hour: int, minute: int, open_: bool) -> None:  # noqa: FBT001 - a table's column
    """Spans that meet leave no gap and no overlap."""
    assert hours().contains(rome(2026, 11, 23, hour, minute)) is open_


def test_a_day_that_is_not_named_is_closed_and_24_00_is_its_end() -> None:
    """Tuesday is closed, Sunday is open from midnight to midnight."""
    assert not hours().contains(rome(2026, 11, 24, 10))
    assert hours().contains(rome(2026, 11, 22, 0))
    assert hours().contains(rome(2026, 11, 22, 23, 59) + 59.9)


def test_hours_are_local_on_both_sides_of_a_change_of_clocks() -> None:
    """The same second of UTC is in hours in summer and not in winter."""
    schedule = hours(days={day: [["09:00", "18:00"]] for day in ("mon", "fri")})
    for monday, friday, utc in (((2027, 3, 29), (2027, 3, 26), 7), ((2026, 10, 23), (2026, 10, 26), 7)):
        in_summer = datetime(*monday, utc, 30, tzinfo=ZoneInfo("UTC")).timestamp()
        in_winter = datetime(*friday, utc, 30, tzinfo=ZoneInfo("UTC")).timestamp()
        assert schedule.contains(in_summer)
        assert not schedule.contains(in_winter)


def test_the_hour_that_comes_twice_is_open_twice() -> None:
    """When clocks go back, both passes of an hour that is open are open."""
    schedule = hours(days={"sun": [["02:00", "03:00"]]})
    first, second = rome(2026, 10, 25, 2, 30), rome(2026, 10, 25, 2, 30, fold=1)
    assert second - first == 3600
    assert schedule.contains(first)
    assert schedule.contains(second)


def test_an_opening_hours_object_is_taken_as_it_is() -> None:
    """Settings can be loaded from settings."""
    assert load(in_hours=hours()).in_hours == hours()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "'Europe/Atlantis' is not a known time zone. Use an IANA name"),
        ({"timezone": "Europe"}, "is not a known time zone"),
        ({"timezone": "../../etc/passwd"}, "is not a known time zone"),
        ({"timezone": ""}, "is not a known time zone"),
        ({"timezone": 1}, "is not a known time zone"),
        ({"timezone": ["Europe/Rome"]}, "is not a known time zone"),
        ({"days": {"monday": [["09:00", "18:00"]]}}, "'monday' is not a day. The days are mon, tue"),
        ({"days": {"mon": "09:00-18:00"}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["9", "18"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [[9, 18]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": None}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:00"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:00", "24:01"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:60", "18:00"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["22:00", "02:00"]]}}, "a start is not before its end. Split spans at midnight"),
        ({"days": {"mon": [["09:00", "09:00"]]}}, "a start is not before its end"),
        ({"days": []}, "must look like"),
        ({"zone": "x"}, "must look like"),
    ],
)
def test_a_wrong_schedule_is_refused_with_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    """The sentence names the day or the zone."""
    with pytest.raises(SettingsError, match=rf"^in_hours.*{re.escape(said)}"):
        load(in_hours=ROME | changes)
