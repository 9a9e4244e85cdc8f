"""Events that a full queue has dropped. The bot's path only records them, and the pipeline's thread counts them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chatvitals.pipeline.queue_items import event_count
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.runtime import pacing

if TYPE_CHECKING:
    from collections import deque

    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.pipeline.self_metrics import SelfMetrics

_MOST_UNREAD = 500
"""Estimated number of events in dropped webhooks that wait to be counted."""


class DroppedEvents:
    """A counter of dropped events. It is exact where that is cheap, and estimates large webhooks.

    Args:
        own: receives the counts.

    """

    def __init__(self, own: SelfMetrics) -> None:
        self._own = own
        self._lock = threading.RLock()
        self._unread: list[RawWebhook] = []
        self._size = 0

    def make_room(self, queue: deque[Queued], size: int, most: int) -> int:
        """Drop the oldest items of a queue with `size` events, so that at most `most` stay. Return how many stay.

        A single item stays, however large it is. The caller holds the queue's lock.
        """
        while size > most and len(queue) > 1:
            oldest = queue.popleft()
            size -= event_count(oldest)
            self.add(oldest)
        return size

    def add(self, event: Queued) -> None:
        """Record a dropped event. Nothing is verified or decoded."""
        size = event_count(event)
        with self._lock:
            waits = type(event) is RawWebhook and self._size + size <= _MOST_UNREAD
            if waits:
                self._unread.append(event)  # type: ignore[arg-type]
                self._size += size
        if not waits:
            self._own.drop("queue_full", size)

    def count(self) -> None:
        """Decode the waiting webhooks, and count their events."""
        with self._lock:
            unread, self._unread, self._size = self._unread, [], 0
        for event in unread:
            self._own.drop("queue_full", event_count(event.webhook))
            pacing.give_way()
