"""Commits with a lost answer. They are sent again until the store shows their result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.pipeline.queue_items import event_count
from chatvitals.stores.base import ConflictError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.metrics.measurements import Measurements
    from chatvitals.pipeline.queue_items import Decoded
    from chatvitals.pipeline.self_metrics import SelfMetrics
    from chatvitals.stores.base import UncertainError


class LostAnswers:
    """The commits of one process that may or may not have taken effect, the oldest first.

    Args:
        own: metrics of the process. A commit that did not take effect gives its amounts back to them.

    """

    def __init__(self, own: SelfMetrics) -> None:
        self._own = own
        self._commits: list[tuple[UncertainError, list[Decoded], Measurements]] = []

    def __len__(self) -> int:
        """Return the number of events in these commits."""
        return sum(event_count(event) for _, batch, _ in self._commits for event in batch)

    def add(self, error: UncertainError, batch: list[Decoded], own: Measurements) -> None:
        """Keep a commit of `batch` and of the process's own amounts."""
        self._commits.append((error, batch, own))

    def ask(self) -> Iterator[tuple[list[Decoded], bool]]:
        """Send each commit once more. Yield its events, and whether it took effect.

        Raises:
            StoreUnavailableError: the store still does not answer. The commit stays.

        """
        while self._commits:
            error, batch, own = self._commits[0]
            took_effect = True
            try:
                error.again()
            except ConflictError:
                took_effect = False
                self._own.give_back(own)
            del self._commits[0]
            yield batch, took_effect

    def clear(self) -> None:
        """Give all of them up."""
        self._commits.clear()
