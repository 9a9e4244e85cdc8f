"""Monitoring of the store while the bot runs. Risks are logged and counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chatvitals.runtime.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

_SECONDS: Final = 300.0


class StoreAdvice:
    """A periodic task that asks the store for its advice.

    Args:
        store: the store.
        guard: logs and counts the store's advice as `chatvitals_internal_errors_total{where="store"}`.
        clock: function that returns seconds of any origin.

    """

    def __init__(self, store: Store, guard: ErrorGuard, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._guard = guard
        self._clock = clock
        self._interval = Interval(_SECONDS)

    def __call__(self) -> None:
        """Ask every five minutes."""
        now = self._clock()
        if not self._interval.is_over(now):
            return
        self._interval.start(now)
        advice = self._store.advice()
        if advice:
            self._guard.report("store", message=advice)
