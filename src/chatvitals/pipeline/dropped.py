"""What a full queue has dropped: the bot's path only notes it, and the pipeline's thread counts it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chatvitals.pipeline.queue_items import event_count
from chatvitals.pipeline.raw_webhook import RawWebhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.pipeline.self_metrics import SelfMetrics

_MOST_UNREAD = 500
"""Events, by estimate, of dropped webhooks that wait to be counted."""


class DroppedEvents:
    """Counts dropped events exactly where that is cheap, and large webhooks by an estimate.

    Args:
        own: where the counts go.

    """

    def __init__(self, own: SelfMetrics) -> None:
        self._own = own
        self._lock = threading.RLock()
        self._unread: list[RawWebhook] = []
        self._size = 0

    def add(self, event: Queued) -> None:
        """Note a dropped event; nothing is verified or decoded."""
        size = event_count(event)
        with self._lock:
            waits = type(event) is RawWebhook and self._size + size <= _MOST_UNREAD
            if waits:
                self._unread.append(event)  # type: ignore[arg-type]
                self._size += size
        if not waits:
            self._own.drop("queue_full", size)

    def count(self, give_way: Callable[[], None]) -> None:
        """Read the webhooks that wait, and count what was in them."""
        with self._lock:
            unread, self._unread, self._size = self._unread, [], 0
        for event in unread:
            self._own.drop("queue_full", event_count(event.webhook))
            give_way()
