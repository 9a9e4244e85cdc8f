"""A clock that stands still until it is set."""

from __future__ import annotations


class FakeClock:
    """A clock that returns the time that it was last set to, in Unix seconds.

        clock = FakeClock(1_700_000_000.0)
        vitals = Vitals(Settings.load({"store": "memory:"}), clock=clock, background=False)
        clock.advance(60)

    Args:
        now: Unix seconds. The attribute of the same name sets another time.

    """

    def __init__(self, now: float = 0.0) -> None:
        self.now: float = now

    def __call__(self) -> float:
        """Return the current time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Advance the time.

        Args:
            seconds: the duration. A negative duration sets the clock back.

        """
        self.now += seconds
