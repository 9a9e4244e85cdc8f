"""Numbers with their units, as text."""

from __future__ import annotations

import math
from typing import Final

NOTHING: Final = "-"
"""Text for a value that was not measured."""


def count(value: float) -> str:
    """Return a count as text, such as `1,537`."""
    return NOTHING if math.isnan(value) else f"{value:,.0f}"


def counted(value: float, one: str, many: str = "") -> str:
    """Return a count with its noun, such as `1 turn` or `2 turns`."""
    return f"{count(value)} {one if round(value) == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """Return a share as text, such as `0.27 %`, `3.4 %` or `36 %`."""
    if math.isnan(share):
        return NOTHING
    value = share * 100
    if 0 < abs(value) < 1:
        return f"{value:.2f} %"
    return f"{value:.1f} %"


def points(difference: float) -> str:
    """Return a difference of two shares in percentage points, such as `+2.9`."""
    return NOTHING if math.isnan(difference) else f"{difference * 100:+.1f}"


def interval(low: float, high: float) -> str:
    """Return an interval of a difference in percentage points, such as `-1.1 … +6.9`."""
    return f"{points(low)} … {points(high)}"


def per_thousand(share: float) -> str:
    """Return a share as a number per 1,000."""
    return NOTHING if math.isnan(share) else f"{share * 1000:.1f}"


def seconds(value: float) -> str:
    """Return a duration such as `2.7 s`, `86 s`, `5 min` or `4 h`."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "no answer"
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} s" if value >= 10 or not value else f"{value:.1f} s"


def span(value: float) -> str:
    """Return a duration or an age as text, such as `26 h` or `4 days`."""
    if value >= 2 * 86_400:
        return counted(value / 86_400, "day")
    return counted(value / 3600, "hour") if value >= 3600 else counted(value / 60, "minute")


def times(ratio: float) -> str:
    """Return a ratio as text, such as `26 times` or `2.4 times`."""
    return f"{ratio:.0f} times" if ratio >= 10 else f"{ratio:.1f} times"


def between(low: float, high: float) -> str:
    """Return the bounds of a bucket, such as `5 to 10 s`."""
    if math.isnan(low):
        return NOTHING
    if math.isinf(high):
        return f"over {seconds(low)}"
    return f"{seconds(low)} to {seconds(high)}" if low else f"under {seconds(high)}"


def phone(display: str) -> str:
    """Return a display number as people write it. A number that is already formatted stays as it is."""
    digits = display.removeprefix("+")
    if not digits.isdecimal():
        return display
    if len(digits) == 11 and digits.startswith("1"):
        return f"+1 {digits[1:4]} {digits[4:7]}-{digits[7:]}"
    return f"+{digits}"
