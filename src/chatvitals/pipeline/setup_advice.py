"""Advice for a bot with a wrong set-up, after ten minutes without webhooks or replies."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chatvitals.metrics.conversation_families import RESPONSE_SECONDS, SENDS, TURNS_OPENED
from chatvitals.metrics.service_families import WEBHOOKS
from chatvitals.runtime import advice
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.family import Family
    from chatvitals.pipeline.webhook_sink import WebhookSink
    from chatvitals.stores.base import Store

PATIENCE: Final = 600.0
"""Seconds within which a bot must show both webhooks and replies."""


class SetupAdvice:
    """A periodic task that warns of sends without webhooks, and of webhooks without replies. Each is logged once.

    Other workers may see more than this process, so the store is read before anything is logged.

    Args:
        sink: knows the webhooks of this process, and writes to the log.
        sends: function that returns the number of sends that this process has seen.
        store: the store of all workers.
        clock: function that returns seconds of any origin.

    """

    def __init__(
        self,
        sink: WebhookSink,
        sends: Callable[[], int],
        store: Store,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._sends = sends
        self._store = store
        self._clock = clock
        self._first_send: float | None = None
        self._first_webhook: float | None = None
        self._webhooks_then = 0.0
        self._done = False

    def __call__(self) -> None:
        """Check, about once a second. The work is over when both a send and a webhook were seen."""
        if self._done:
            return
        try:
            self._check(self._sends(), self._sink.seen, self._clock())
        except StoreUnavailableError:
            self._done = False  # the store's own warning is logged, and a later check reads it again

    def _check(self, sends: int, webhooks: int, now: float) -> None:
        if sends and webhooks:
            self._done = True
        elif sends and self._sink.webhook_paths:
            if self._first_send is None:
                self._first_send, self._webhooks_then = now, self._total(WEBHOOKS)
            elif now - self._first_send >= PATIENCE:
                self._done = True
                self._warn_of_no_webhooks()
        elif webhooks:
            if self._first_webhook is None:
                self._first_webhook = now
            elif now - self._first_webhook >= PATIENCE:
                self._first_webhook = now  # a bot that only gets statuses today may get messages tomorrow
                self._warn_of_no_replies()

    def _warn_of_no_webhooks(self) -> None:
        if self._total(WEBHOOKS) > self._webhooks_then:
            return
        watched = " ".join(sorted(self._sink.webhook_paths))
        self._sink.advice.once(
            f"The bot has sent messages for ten minutes, but no webhook has come to {watched} or to another path that "
            "chatvitals sees. Check that webhook_path is the path of WhatsApp's callback URL. Check that the server "
            "runs the app that was passed to instrument_app (`chatvitals doctor`).",
            topic=advice.NO_WEBHOOKS,
        )

    def _warn_of_no_replies(self) -> None:
        answered = self._total(RESPONSE_SECONDS) + self._total(SENDS)
        if answered or not self._total(TURNS_OPENED):
            return
        self._done = True
        self._sink.advice.once(
            "Messages of customers have come for ten minutes, but no reply was ever seen. Either the bot does "
            "not answer, or chatvitals does not watch its HTTP client. Call chatvitals.init() before the first send, "
            "or call vitals.record_reply() after each reply.",
            topic=advice.NO_REPLIES,
        )

    def _total(self, family: Family) -> float:
        """Return the sum of a family's counts over all workers."""
        cells = self._store.cells()
        return sum(amount for (name, _, field), amount in cells.items() if name == family.name and field >= 0)
