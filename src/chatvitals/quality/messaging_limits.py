"""One normal form for a messaging limit, which Meta spells in five ways (whatsapp/README.md 4.3)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec

from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements
    from chatvitals.quality.state import Limit

_TIERS: dict[str, float | None] = {
    "TIER_50": 50.0,
    "TIER_250": 250.0,
    "TIER_1K": 1_000.0,
    "TIER_2K": 2_000.0,
    "TIER_10K": 10_000.0,
    "TIER_100K": 100_000.0,
    "TIER_UNLIMITED": inf,
    "UNLIMITED": inf,
    "-1": inf,
    "TIER_NOT_SET": None,
}
_LONGEST = 64
_MOST_DIGITS = 12


class Users(msgspec.Struct, frozen=True):
    """A readable limit. None means that Meta reports no limit as set."""

    users: float | None


def normal(spelling: object) -> Users | None:
    """Return a limit in people per 24 h, or None for an unknown spelling. Unlimited is +Inf."""
    if isinstance(spelling, float) and spelling.is_integer():
        spelling = int(spelling)
    if isinstance(spelling, bool) or not isinstance(spelling, (int, str)):
        return None
    text = _text(spelling)
    if text in _TIERS:
        return Users(_TIERS[text])
    return Users(float(text)) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def apply_limit(limit: Limit, spelling: object, at: float, measures: Measurements, *, polled: bool = False) -> None:
    """Apply a limit in Meta's spelling. An unreadable limit keeps the last value and is counted.

    A poll repeats the value of the poll before, so an unreadable limit counts once there.
    """
    found = normal(spelling)
    if found is not None:
        limit.update(found.users, at)
        return
    text = _text(spelling)
    if not polled or text != limit.unknown:
        measures.count(catalogue.EVENTS_DROPPED, ("unknown_tier",))
    limit.unknown = text


def _text(spelling: object) -> str:
    """Return the spelling as text. A number that is too large becomes a fixed text."""
    if isinstance(spelling, int) and not -1 <= spelling < 10**12:
        return "a number out of range"
    return str(spelling)[:_LONGEST].strip().upper()
