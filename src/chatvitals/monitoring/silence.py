"""Silence: no webhook arrives at a time at which many usually do, and from then on until one arrives again."""

from __future__ import annotations

from typing import Final

from chatvitals.monitoring.expressions import JOB, increase

SILENT: Final = "job:chatvitals_webhooks:silent"
"""The recorded series that is there while many webhooks are usual and none arrives."""
STILL: Final = "job:chatvitals_webhooks:silent_still"
"""The recorded series that is there once that was so for five minutes, until a webhook arrives.

A night in which few would write ends no outage. The series `ALERTS` would show that the alert fires, but Grafana's own
rules have no such series.
"""
_ACCEPTED: Final = 'chatvitals_webhooks_total{result="accepted"}'
_EARLIER: Final = ("6d23h20m", "23h20m", "1d23h20m", "2d23h20m")


def silent() -> str:
    """Return the condition that no webhook arrives although many usually do."""
    # In a busy hour 40 minutes are long. What is usual is counted over two hours around that time, because a single
    # half hour varies by half. Neither a closing hour nor a quieter week may alarm.
    suddenly = (
        f"({_none('40m')} and {_usually('2h', 360, _EARLIER)} "
        f"and {accepted('40m', ' offset 1w')} > 60 and {accepted('1h', ' offset 40m')} > 100)"
    )
    every = [f"({_none(window)} and {_usually(window, n)})" for window, n in (("30m", 200), ("3h", 200), ("1d", 50))]
    return "\nor ".join((*every, suddenly))


def still() -> str:
    """Return the condition that a silence has not ended. It reads its own latest value."""
    return f"({SILENT} and {SILENT} offset 5m)\nor ({_none('30m')} and last_over_time({STILL}[10m]))"


def accepted(window: str, offset: str = "") -> str:
    """Return how many webhooks a bot accepted within a window."""
    return increase(_ACCEPTED, window, JOB, offset)


def _none(window: str) -> str:
    """Return the condition that no webhook arrived. A target that was not seen when the window began may hide some."""
    return f"{accepted(window)} == 0 and max {JOB} (last_over_time({_ACCEPTED}[10m] offset {window})) >= 0"


def _usually(window: str, least: int, days: tuple[str, ...] = ("1w", "1d", "2d", "3d")) -> str:
    """Return the condition that more arrived at this time a week ago, and on one of the last three days.

    Statuses of a small bot's campaign make one day unusual.
    """
    before = [f"{accepted(window, f' offset {day}')} > {least}" for day in days]
    return f"{before[0]} and ({' or '.join(before[1:])})"
