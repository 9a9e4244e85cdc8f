"""The time of what the bot's code says: no two calls of one process fall on one moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_APART = 1e-6  # seconds; the finest that Unix time as a float can hold safely
_COARSE = 0.1  # a clock that is set back by more than this is believed


class MonotonicClock:
    """A clock that moves with every reading, so that calls keep their order.

    What happens at one moment is applied in a fixed order of kinds; `restart()` and then `reach()` on a clock that
    ticks every 16 ms, or that a test holds still, would else be taken the other way round.

    Args:
        clock: returns the time in Unix seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time in Unix seconds, a microsecond later than the last one where it would be the same."""
        now = self._clock()
        with self._lock:
            if self._last - _COARSE < now <= self._last:
                now = self._last + _APART
            self._last = now
            return now
