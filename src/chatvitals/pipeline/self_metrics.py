"""Metrics of a process about itself that are not committed yet. They travel with the next successful commit."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.metrics.cardinality import CardinalityLimiter
    from chatvitals.runtime.error_guard import ErrorGuard


class SelfMetrics:
    """Errors of the guard, label overflows, dropped events and commit times, between two commits."""

    def __init__(self, guard: ErrorGuard, labels: CardinalityLimiter) -> None:
        self._guard = guard
        self._labels = labels
        self._waiting = Measurements()
        self._in_flight = Measurements()
        self._dropped: Counter[str] = Counter()
        self._lock = threading.Lock()  # a scrape reads while the pipeline's thread writes
        self.drains: int = 0
        """Number of times that a commit has taken the waiting amounts."""

    def drop(self, reason: str, amount: int) -> None:
        """Count events that were dropped."""
        with self._lock:
            self._dropped[reason] += amount

    def committed_within(self, seconds: float) -> None:
        """Record the duration of a commit."""
        with self._lock:
            self._waiting.observe(catalogue.STORE_COMMIT_SECONDS, (), seconds)

    def drain(self) -> Measurements:
        """Return all waiting amounts, for the commit that is about to be tried."""
        with self._lock:
            self.drains += 1
            taken, self._waiting = self._waiting, Measurements()
            dropped, self._dropped = self._dropped, Counter()
            _count(taken, self._guard.drain(), dropped, self._labels.drain_overflow())
            self._in_flight = taken
        return taken

    def give_back(self, taken: Measurements) -> None:
        """Put back the amounts that a commit did not bring to the store."""
        with self._lock:
            self._waiting.merge(taken.increments)
            self._in_flight = Measurements()

    def landed(self) -> None:
        """Record that the commit under way is over, successful or not."""
        with self._lock:
            self._in_flight = Measurements()

    def measures(self) -> Measurements:
        """Return all amounts that have not reached the store yet, including the commit under way."""
        measures = self.waiting()
        with self._lock:
            measures.merge(self._in_flight.increments)
        return measures

    def waiting(self) -> Measurements:
        """Return all amounts that no commit has taken yet."""
        measures = Measurements()
        with self._lock:
            measures.merge(self._waiting.increments)
            _count(measures, dict(self._guard.errors), dict(self._dropped), dict(self._labels.overflow))
        return measures


def _count(
    measures: Measurements, errors: Mapping[str, int], dropped: Mapping[str, int], overflow: Mapping[str, int]
) -> None:
    for where, amount in errors.items():
        measures.count(catalogue.INTERNAL_ERRORS, (where,), amount)
    for reason, amount in dropped.items():
        measures.count(catalogue.EVENTS_DROPPED, (reason,), amount)
    for label, amount in overflow.items():
        measures.count(catalogue.SERIES_OVERFLOW, (label,), amount)
