"""The interval between two runs of periodic work."""

from __future__ import annotations


class Interval:
    """A length of time that runs from the latest `start`. Before the first start, it is over.

        interval = Interval(300.0)
        if interval.is_over(now):
            interval.start(now)
            work()

    Args:
        seconds: its length. All other times are seconds of one clock of any origin.

    """

    __slots__ = ("_seconds", "_started")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started: float | None = None

    def is_over(self, now: float) -> bool:
        """Return whether the work is due. A clock that was set back ends the interval as well."""
        return self._started is None or not 0.0 <= now - self._started < self._seconds

    def start(self, now: float) -> None:
        """Let the interval run from `now`."""
        self._started = now

    def end(self) -> None:
        """End the interval early, so that the work is due at once."""
        self._started = None
