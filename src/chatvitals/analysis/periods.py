"""Times and periods as people write them, in their own time zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chatvitals.analysis.errors import WrongNameError, printable
from chatvitals.analysis.history import DAY, HOUR

_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?)(m|h|d|w)")
_SECONDS: Final = {"m": 60.0, "h": HOUR, "d": DAY, "w": 7 * DAY}
_EARLIEST_YEAR, _LATEST_YEAR = 1971, 9000  # far from the limits of `datetime`
_MOMENTS: Final = "2026-11-10, 2026-11-10T22:28 or 2026-11-10T22:28+01:00"


@dataclass(frozen=True, slots=True)
class Period:
    """A period in Unix seconds, with its name.

    Args:
        start: the first second of the period.
        end: the first second after the period.
        name: the period as text, such as `Tue 10 Nov`.

    """

    start: float
    end: float
    name: str = ""

    @property
    def days(self) -> float:
        """The length in days."""
        return (self.end - self.start) / DAY


class Calendar:
    """Reader and writer of times in one time zone.

    Args:
        zone: the name of a time zone, such as `Europe/Rome`. None is the machine's time zone.
        now: Unix seconds.

    Raises:
        WrongNameError: there is no such time zone.

    """

    def __init__(self, zone: str | None, now: float) -> None:
        self._zone: tzinfo | None = None
        if zone is not None:
            try:
                self._zone = UTC if zone.upper() == "UTC" else ZoneInfo(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise WrongNameError(
                    f"--tz: there is no time zone {printable(zone)!r}. Use a name such as Europe/Rome."
                ) from None
        self.now = now

    @property
    def zone(self) -> str:
        """The name of the time zone."""
        return str(self._zone) if self._zone is not None else (self._local(self.now).tzname() or "local time")

    def moment(self, text: str, option: str) -> float:
        """Return a time as Unix seconds.

        Args:
            text: a day (its start is meant), a date and time, or `now`.
            option: name of the option, for the error.

        Raises:
            WrongNameError: the text cannot be understood.

        """
        if text == "now":
            return self.now
        wrong = WrongNameError(f"{option} must be a time such as {_MOMENTS}, not {printable(text)!r}")
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise wrong from None
        if not _EARLIEST_YEAR <= found.year <= _LATEST_YEAR:
            raise wrong
        return self._seconds(found)

    def day(self, text: str, option: str) -> Period:
        """Return a whole day, from midnight to midnight.

        Raises:
            WrongNameError: the text is not a day.

        """
        try:
            found = date.fromisoformat(text)
            start, end = (self.moment(each.isoformat(), option) for each in (found, found + timedelta(days=1)))
        except (ValueError, OverflowError):
            raise WrongNameError(f"{option} must be a day such as 2026-11-10, not {printable(text)!r}") from None
        return Period(start, end, self.write_day(start))

    def period(self, text: str, option: str, other: Period | None = None) -> Period:
        """Return a period.

        Args:
            text: `FROM..TO`, a day, or a length such as `8d` that ends where `other` starts.
            option: name of the option, for the error.
            other: the period that a length precedes.

        Raises:
            WrongNameError: the text cannot be understood, or the period is empty.

        """
        length = _LENGTH.fullmatch(text)
        if length and other is not None:
            seconds = float(length[1]) * _SECONDS[length[2]]
            start, end = other.start - seconds, other.start
        elif ".." in text:
            first, _, last = text.partition("..")
            start, end = self.moment(first, option), self.moment(last or "now", option)
        else:
            return self.day(text, option)
        if start >= end:
            raise WrongNameError(f"{option} is empty: {self.write(start)} is not before {self.write(end)}")
        return Period(start, end, f"{self.write(start)} to {self.write(end)}")

    def write(self, at: float) -> str:
        """Return a time as text, such as `9 Nov 18:20`."""
        local = self._local(at)
        return f"{local.day} {local:%b %H:%M}"

    def write_day(self, at: float) -> str:
        """Return a day as text, such as `Tue 10 Nov`."""
        local = self._local(at)
        return f"{local:%a} {local.day} {local:%b}"

    def write_date(self, at: float) -> str:
        """Return a date with its year as text."""
        local = self._local(at)
        return f"{local.day} {local:%b %Y}"

    def midnight(self, at: float) -> float:
        """Return the start of a time's day, as Unix seconds."""
        day = self._local(at).replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
        return self._seconds(day)

    def earlier(self, period: Period, days: int) -> Period:
        """Return a period with the same times of the day, `days` days earlier. Clocks may change in between."""
        start, end = (self._local(at).replace(tzinfo=None) for at in (period.start, period.end))
        back = timedelta(days=days)
        return Period(self._seconds(start - back), self._seconds(end - back))

    def length(self, period: Period) -> float:
        """Return the days of a period by the clock. A day on which clocks change is one day, too."""
        start, end = (self._local(at).replace(tzinfo=None) for at in (period.start, period.end))
        return (end - start) / timedelta(days=1)

    def local(self, at: float) -> datetime:
        """Return a time as a `datetime` in this zone."""
        return self._local(at)

    def _seconds(self, moment: datetime) -> float:
        """Return a time as Unix seconds. A time without an offset belongs to this zone."""
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone) if self._zone is not None else moment.astimezone()
        return moment.timestamp()

    def _local(self, at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone)
