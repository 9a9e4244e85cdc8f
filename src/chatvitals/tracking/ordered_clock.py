"""A clock whose readings strictly increase within one process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_APART = 1e-6  # seconds; the smallest step that Unix time as a float can represent safely
_COARSE = 0.1  # seconds; a larger step backwards is accepted


class MonotonicClock:
    """A clock that advances with every reading, so that calls keep their order.

    Events with the same time are applied in a fixed order of kinds. On a clock that ticks every 16 ms, or that stands
    still in a test, `restart()` and then `reach()` would be applied in the wrong order.

    Args:
        clock: function that returns the time in Unix seconds.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """Return the time in Unix seconds, at least a microsecond after the last reading."""
        now = self._clock()
        with self._lock:
            if self._last - _COARSE < now <= self._last:
                now = self._last + _APART
            self._last = now
            return now
