"""A clock that stands still until it is set."""

from __future__ import annotations


class FakeClock:
    """A clock that returns the time that it was last set to, in Unix seconds."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the current time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Advance the time by `seconds`."""
        self.now += seconds
