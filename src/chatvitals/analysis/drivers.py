"""Eight drivers of a rating, chosen in advance, and whether each moved before the rating fell.

A rating has three levels and falls a few times a year, so no correlation is reported. Each driver's value just before
the fall stands against the same number's own earlier values (analysis/README.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from chatvitals.analysis import quantiles, statistics
from chatvitals.analysis.figures import failed_of
from chatvitals.analysis.history import DAY, HOUR
from chatvitals.analysis.wording import count, per_thousand, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.analysis.figures import FigureReader

FALSE_DISCOVERIES: Final = 0.05
"""The highest allowed share of false discoveries among the drivers that are reported as moved."""
MOST_DAYS: Final = 56
ENOUGH_DAYS: Final = 21
"""From this number of known days, windows of seven days are compared. Each of them holds every weekday once."""
FEWEST_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Driver:
    """One of the eight drivers.

    Args:
        name: name in reports.
        parts: function that returns count and total between two times.
        write: function that formats the value.
        late: whether the value becomes known a day later. Its window then also ends a day later.
        volume: whether the count itself is the value.

    """

    name: str
    parts: Callable[[FigureReader, str, float, float], tuple[float, float]]
    write: Callable[[float], str] = percent
    late: bool = False
    volume: bool = False

    def value(self, reader: FigureReader, number: str, end: float, seconds: float) -> tuple[float, float]:
        """Return the value of a window that ends at `end`, and its standard deviation by chance."""
        counted, total = self.parts(reader, number, end - seconds, end)
        if self.volume:
            return counted, math.sqrt(max(counted, 1.0))
        if total <= 0:
            return math.nan, 0.0
        share = statistics.Share(min(counted, total), total)
        return share.value, math.sqrt(share.variance)


@dataclass(slots=True)
class Moved:
    """The value of a driver before the fall, and its usual range.

    Args:
        driver: name of the driver.
        value: value over the window before the fall.
        low: lower end of the usual range.
        high: upper end of the usual range.
        z: distance from the driver's median in robust standard deviations.
        rank: place of this distance among all windows. 1 is the farthest.
        windows: number of windows, including the window before the fall.
        adjusted: p-value, adjusted for eight drivers.
        verdict: whether the driver moved.
        shown: value and usual range as text.
        late: whether the value became known only a day later.

    """

    driver: str
    value: float
    low: float
    high: float
    z: float
    rank: int
    windows: int
    adjusted: float
    verdict: Literal["moved up", "moved down", "moved a little", "did not move", "not measured"]
    shown: tuple[str, str]
    late: bool


def _over_minute(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    where = {"phone_number_id": number}
    return reader.overdue.between(start, end, **where), reader.opened.between(start, end, **where)


def _no_answer(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    # a turn ends unanswered a day after its last message; until then a share would be too low
    if end + DAY > reader.ended.grid.end + HOUR:
        return math.nan, 0.0
    unanswered = reader.ended.between(start + DAY, end + DAY, phone_number_id=number, outcome=("unanswered", "failed"))
    return unanswered, reader.opened.between(start, end, phone_number_id=number)


def _fallbacks(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    where = {"phone_number_id": number}
    return reader.fallbacks.between(start, end, **where), reader.opened.between(start, end, **where)


def _completed(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    where = {"phone_number_id": number}
    return (
        reader.runs.between(start, end, outcome="completed", **where),
        reader.started.between(start, end, **where),
    )


def _read(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    category = "marketing" if "marketing" in reader.statuses.values("category") else tuple(
        reader.statuses.values("category")
    )  # fmt: skip
    read, delivered = (
        reader.statuses.between(start, end, phone_number_id=number, status=status, category=category)
        for status in ("read", "delivered")
    )
    return read, delivered


def _opt_outs(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    where = {"phone_number_id": number}
    return reader.opt_outs.between(start, end, **where), reader.statuses.between(
        start, end, status="delivered", **where
    )


def _failed(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    where = {"phone_number_id": number}
    sent, delivered = (reader.statuses.between(start, end, status=each, **where) for each in ("sent", "delivered"))
    share = failed_of(sent, delivered, reader.failures.between(start, end, **where))
    return share.count, share.total


def _campaigns(reader: FigureReader, number: str, start: float, end: float) -> tuple[float, float]:
    return reader.sends.between(start, end, phone_number_id=number, kind="campaign"), 0.0


DRIVERS: Final = (
    Driver("over a minute", _over_minute),
    Driver("no answer", _no_answer, late=True),
    Driver("not understood", _fallbacks),
    Driver("journeys completed", _completed),
    Driver("read, campaigns", _read),
    Driver("opt-outs per 1,000", _opt_outs, write=per_thousand),
    Driver("failed messages", _failed),
    Driver("campaign volume", _campaigns, write=count, volume=True),
)


def window_seconds(known_days: float) -> float:
    """Return the length of a window in seconds.

    A window is seven days, or one day while fewer than three weeks are known.
    """
    return 7 * DAY if known_days >= ENOUGH_DAYS else DAY


def moved(reader: FigureReader, number: str, at: float, first: float) -> list[Moved]:
    """Return how each driver stood just before a time, compared with its own past.

    Args:
        reader: figures whose history covers the past.
        number: the `phone_number_id`.
        at: when the rating fell, in Unix seconds.
        first: when the history begins.

    """
    known = (at - first) / DAY
    seconds = window_seconds(known)
    # no past window overlaps the window before the fall
    ends = [at - back * DAY for back in range(round(seconds / DAY), min(math.floor(known), MOST_DAYS) + 1)]
    ends = [end for end in ends if end - seconds >= first - 1]
    found = [_compared(driver, reader, number, (at, *ends), seconds) for driver in DRIVERS]
    adjusted = statistics.benjamini_hochberg([statistics.p_of_z(each.z) for each in found])
    for each, p_value in zip(found, adjusted, strict=True):
        each.adjusted = p_value
        each.verdict = _verdict(each)
    return found


def _compared(driver: Driver, reader: FigureReader, number: str, ends: Sequence[float], seconds: float) -> Moved:
    values = [driver.value(reader, number, end, seconds) for end in ends]
    (value, noise), usual = values[0], [each for each, _ in values[1:] if not math.isnan(each)]
    low, high = quantiles.quantile(usual, 0.05), quantiles.quantile(usual, 0.95)
    shown = f"{driver.write(low)} to {driver.write(high)}" if usual else "not known"
    z = statistics.robust_z(value, usual, noise) if len(usual) >= FEWEST_DAYS else 0.0
    middle = median([*usual, value]) if usual and not math.isnan(value) else 0.0
    farther = sum(abs(each - middle) > abs(value - middle) for each in usual)
    return Moved(
        driver.name, value, low, high, z, farther + 1, len(usual) + 1, 1.0,
        "not measured" if math.isnan(value) else "did not move", (driver.write(value), shown), driver.late,
    )  # fmt: skip


def _verdict(each: Moved) -> Literal["moved up", "moved down", "moved a little", "did not move", "not measured"]:
    if math.isnan(each.value):
        return "not measured"
    first = each.rank <= max(1.0, FALSE_DISCOVERIES * each.windows)
    if first and each.adjusted <= FALSE_DISCOVERIES:
        return "moved up" if each.z > 0 else "moved down"
    return "moved a little" if first and each.windows > FEWEST_DAYS and abs(each.z) > 1.5 else "did not move"
