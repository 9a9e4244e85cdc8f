"""Opening hours as a weekly schedule in one time zone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from chatvitals.settings.errors import SettingsError

if TYPE_CHECKING:
    import zoneinfo

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class OpeningHours(msgspec.Struct, frozen=True):
    """A weekly schedule of opening times in one time zone. Starts are included, ends are not.

        weekdays = (((9 * 60, 18 * 60),),) * 5
        hours = OpeningHours(ZoneInfo("Europe/Rome"), (*weekdays, (), ()))

    Args:
        timezone: the time zone of the times.
        days: seven days, Monday first. Each has its spans, as pairs of minutes since midnight.

    """

    timezone: zoneinfo.ZoneInfo
    days: tuple[tuple[tuple[int, int], ...], ...]

    def contains(self, at: float) -> bool:
        """Return whether a point in time lies within opening hours.

        Args:
            at: Unix seconds.

        """
        local = datetime.fromtimestamp(at, self.timezone)
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.days[local.weekday()])


def opening_hours(value: object) -> OpeningHours:
    """Return the schedule of the setting `in_hours`.

    Raises:
        SettingsError: the value is not a schedule.

    """
    import zoneinfo  # noqa: PLC0415 - most bots set no opening hours

    name = "in_hours"
    if isinstance(value, OpeningHours):
        return value
    example = '{"timezone": "Europe/Rome", "days": {"mon": [["09:00", "18:00"]]}}'
    if not isinstance(value, Mapping) or set(value) != {"timezone", "days"} or not isinstance(value["days"], Mapping):
        raise SettingsError(f"{name} must look like {example}")
    try:
        zone = zoneinfo.ZoneInfo(value["timezone"])
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise SettingsError(
            f"{name}: {value['timezone']!r} is not a known time zone. Use an IANA name such as 'Europe/Rome' "
            "(and install the package 'tzdata' where the system has none)"
        ) from None
    days: list[tuple[tuple[int, int], ...]] = []
    for day in value["days"]:
        if day not in _DAYS:
            raise SettingsError(f"{name}: {day!r} is not a day. The days are {', '.join(_DAYS)}")
    for day in _DAYS:
        try:
            spans = tuple((_minute(start), _minute(end)) for start, end in value["days"].get(day, ()))
        except (TypeError, ValueError, AttributeError):
            raise SettingsError(f"{name}: the times of {day!r} must look like [['09:00', '18:00']]") from None
        if any(start >= end for start, end in spans):
            raise SettingsError(f"{name}: on {day!r} a start is not before its end. Split spans at midnight")
        days.append(spans)
    return OpeningHours(zone, tuple(days))


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    total = int(hour) * 60 + int(minute)
    if not 0 <= total <= 24 * 60 or not 0 <= int(minute) < 60:
        raise ValueError
    return total
