"""The receiver of webhooks from all integrations. Bodies are checked and decoded later on the pipeline's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals._version import __version__
from chatvitals.events import Webhook
from chatvitals.pipeline.raw_webhook import BYTES_AN_EVENT, RawWebhook
from chatvitals.runtime import advice, pacing
from chatvitals.whatsapp import signatures, webhook_parser
from chatvitals.whatsapp.closing_remarks import ClosingRemarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings


_MOST_LOOKS: Final = 1000  # requests on other paths, before the first webhook


class WebhookSink:
    """The receiver of one bot's webhooks. Every integration needs only this object.

    Args:
        settings: the settings in force.
        guard: keeps errors of ours from the bot.
        clock: function that returns the time in Unix seconds.
        put: function that hands an event to the pipeline. It may raise.

    """

    __slots__ = (
        "_closings",
        "_put",
        "_read",
        "advice",
        "before_receive",
        "clock",
        "flush",
        "guard",
        "looks",
        "lost_paths",
        "metrics_paths",
        "seen",
        "settings",
        "shown",
        "webhook_paths",
    )

    def __init__(
        self, settings: Settings, guard: ErrorGuard, clock: Callable[[], float], put: Callable[[Queued], None]
    ) -> None:
        self.settings: Settings = settings
        self.guard: ErrorGuard = guard
        self.clock: Callable[[], float] = clock
        self.shown: Callable[[], dict[str, str]] | None = None
        """Function that returns further values for the start line. None where nothing is logged."""
        self.before_receive: list[Callable[[], object]] = []
        """Functions to call before each webhook. They must be quick."""
        self.flush: Callable[[], object] | None = None
        """Function that commits the events so far, for integrations that see the server's end. It may take seconds."""
        self.seen: int = 0
        """Number of webhooks that this process has received."""
        self.webhook_paths: set[str] = set()
        """The paths that integrations watch."""
        self.metrics_paths: set[str] = set()
        """The paths at which integrations serve the metrics."""
        self.lost_paths: set[str] = set()
        """Other paths that got a webhook of WhatsApp before a watched path did."""
        self.looks: int = 0
        """Number of requests on other paths that were checked."""
        self.advice: advice.Advice = guard.advice
        """The log of advice that is given once."""
        self._put = put
        self._closings = ClosingRemarks(settings.closings)
        self._read = self._decode  # one bound method for all webhooks that wait

    def tell_start(self) -> None:
        """Log the bot's set-up, once it is known and whenever it changes."""
        if self.shown is None:
            return
        token = "with a token" if self.settings.metrics_token else "open"
        parts = {
            "webhooks": " ".join(sorted(self.webhook_paths)) or "not watched yet",
            "metrics": f"{' '.join(sorted(self.metrics_paths))} {token}" if self.metrics_paths else "not served here",
            "signature": "checked" if self.settings.app_secret else "not checked",
        }
        self.advice.started(__version__, **self.shown(), **parts)

    def watches(self, path: str) -> None:
        """Record that an integration watches `path` for webhooks."""
        self.webhook_paths.add(path)
        self.tell_start()

    def serves(self, path: str) -> None:
        """Record that an integration serves the metrics at `path`."""
        self.metrics_paths.add(path)
        self.tell_start()

    @property
    def expects_webhooks(self) -> bool:
        """Whether an integration still waits for its first webhook, so that other paths are worth a check."""
        return not self.seen and self.looks < _MOST_LOOKS and bool(self.webhook_paths)

    def lost(self, path: str) -> None:
        """Warn that a webhook of WhatsApp came to a path that is not watched."""
        bare = path.rstrip("/")
        if self.seen or bare in {watched.rstrip("/") for watched in self.webhook_paths} or not path.isprintable():
            return
        self.lost_paths.add(path[:200])
        self.guard.count("lost_webhook")
        self.advice.once(
            f"A webhook of WhatsApp came to {path[:200]}, which chatvitals does not watch. It watches "
            f"{' '.join(sorted(self.webhook_paths))}. Set webhook_path={path[:200]!r}.",
            topic=advice.NO_WEBHOOKS,
        )

    def receive(self, body: bytes, signature: str | None) -> RawWebhook:
        """Receive a webhook without counting it yet. It never raises. `emit` counts the webhook.

        Args:
            body: the raw bytes.
            signature: the value of `X-Hub-Signature-256`, or None.

        """
        self.seen += 1
        try:
            for call in self.before_receive:
                call()
        except Exception as error:  # noqa: BLE001 - the guard's work, without a context manager's cost per webhook
            self.guard.report("webhook", error)
        return RawWebhook(self._read, body, signature, self.clock(), 1 + len(body) // BYTES_AN_EVENT)

    def emit(self, event: Queued) -> None:
        """Hand an event to the pipeline. It never raises and never waits."""
        try:
            self._put(event)
        except Exception as error:  # noqa: BLE001 - as above
            self.guard.report("emit", error)

    def _decode(self, body: bytes, signature: str | None, received: float) -> Webhook:
        """Check a webhook's signature and decode it. It never raises."""
        try:
            secrets = self.settings.app_secret
            if secrets and not signatures.check(body, signature, secrets):
                self.advice.once(advice.BAD_SIGNATURE if signature else advice.UNSIGNED)
                return Webhook(result="bad_signature" if signature else "unsigned", received=received)
            webhook = webhook_parser.decode(body, received, self._closings, pacing.give_way)
        except Exception as error:  # noqa: BLE001 - as above
            self.guard.report("webhook", error)
            return Webhook(result="undecodable", received=received)
        if webhook.result == "undecodable" and self.shown is not None:  # `replay` reads recordings, which may be cut
            self.advice.once(advice.UNDECODABLE)
        return webhook
