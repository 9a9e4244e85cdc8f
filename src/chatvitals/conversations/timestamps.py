"""One time axis for WhatsApp's whole seconds and the finer local clock (conversations/README.md 3)."""

from __future__ import annotations

import msgspec

from chatvitals.conversations.state import DAY

FUTURE_TOLERANCE = 5.0
STALE_AFTER = 7 * DAY


class EventTime(msgspec.Struct, gc=False, frozen=True):
    """The time of an event on the local clock, and in WhatsApp's whole seconds."""

    at: float
    second: int
    skewed: bool


def moment(received: float, timestamp: int | None) -> EventTime:
    """Return `at = min(received, timestamp + 1 s)`. A timestamp that is missing or over 5 s ahead counts as a skew."""
    if timestamp is None or timestamp > received + FUTURE_TOLERANCE:
        return EventTime(received, int(received), True)
    at = timestamp + 1.0
    return EventTime(received if received < at else at, timestamp, False)  # noqa: FURB136 - `min` is a call, and this is hot


def is_stale(received: float, timestamp: int | None) -> bool:
    """Return whether a timestamp is over 7 days old, as in a dashboard's test message or old history."""
    return timestamp is not None and received - timestamp > STALE_AFTER
