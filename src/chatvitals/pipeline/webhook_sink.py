"""Where doors hand in webhooks: a body is taken in at once, checked and decoded later on the pipeline's thread."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from chatvitals.events import Webhook
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.whatsapp import signatures, webhook_parser
from chatvitals.whatsapp.closing_remarks import ClosingRemarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings


logger = logging.getLogger("chatvitals")


def warn_unsigned(settings: Settings) -> None:
    """Log once, at the start, that webhooks are not checked where no app secret is set."""
    if not settings.app_secret:
        logger.warning(
            "chatvitals: no app_secret is set, so that anybody who knows the webhook's address can change the numbers. "
            "Set app_secret (or CHATVITALS_APP_SECRET) to the app secret of your Meta app."
        )


class WebhookSink:
    """Receives the webhooks of one bot. Every door, ours or another one, needs this object alone.

    Args:
        settings: the settings in force.
        guard: keeps errors of ours from the bot.
        clock: returns the time in Unix seconds.
        put: hands an event to the pipeline; it may raise.

    """

    __slots__ = (
        "_closings",
        "_put",
        "before_receive",
        "clock",
        "guard",
        "metrics_paths",
        "seen",
        "settings",
        "webhook_paths",
    )

    def __init__(
        self, settings: Settings, guard: ErrorGuard, clock: Callable[[], float], put: Callable[[Queued], None]
    ) -> None:
        self.settings = settings
        self.guard = guard
        self.clock = clock
        self.before_receive: list[Callable[[], object]] = []
        """Called before each webhook is taken in; they must be quick."""
        self.seen = 0
        """How many webhooks this process has taken in."""
        self.webhook_paths: set[str] = set()
        """The paths that doors watch."""
        self.metrics_paths: set[str] = set()
        """The paths at which doors serve the metrics."""
        self._put = put
        self._closings = ClosingRemarks(settings.closings)

    def receive(self, body: bytes, signature: str | None) -> RawWebhook:
        """Take in a webhook without counting it yet; never raises. `emit` counts it.

        Args:
            body: the bytes as they came.
            signature: the value of `X-Hub-Signature-256`, or None.

        """
        self.seen += 1
        try:
            for call in self.before_receive:
                call()
        except Exception as error:  # noqa: BLE001 - the guard's fence, without a context manager's cost per webhook
            self.guard.report("webhook", error)
        return RawWebhook(self._decode, body, signature, self.clock())

    def emit(self, event: Queued) -> None:
        """Hand an event to the pipeline; never raises and never waits."""
        try:
            self._put(event)
        except Exception as error:  # noqa: BLE001 - as above
            self.guard.report("emit", error)

    def _decode(self, body: bytes, signature: str | None, received: float) -> Webhook:
        """Check a webhook's signature and decode it; never raises."""
        try:
            secrets = self.settings.app_secret
            if secrets and not signatures.check(body, signature, secrets):
                return Webhook(result="bad_signature" if signature else "unsigned", received=received)
            return webhook_parser.decode(body, received, self._closings)
        except Exception as error:  # noqa: BLE001 - as above
            self.guard.report("webhook", error)
        return Webhook(result="undecodable", received=received)
