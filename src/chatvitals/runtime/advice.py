"""Sentences for the log that tell how a bot is set up, and what is probably wrong with it; each is said once."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger("chatvitals")

BAD_SIGNATURE = (
    "chatvitals: a webhook with a wrong signature came and is not counted. Check that app_secret is the secret of this "
    "app, and that no proxy rewrites request bodies. Further ones are counted in chatvitals_webhooks_total."
)
UNSIGNED = (
    "chatvitals: a webhook without a signature came and is not counted. WhatsApp signs all of its webhooks: check that "
    "the header X-Hub-Signature-256 reaches the bot. Further ones are counted in chatvitals_webhooks_total."
)


class Advice:
    """Writes each sentence at most once per process."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def started(self, version: str, **parts: str) -> None:
        """Write the start line: what was found and how it is set, such as `store="SQLite"`."""
        shown = ", ".join(f"{name} {value}" for name, value in parts.items())
        logger.info("chatvitals %s started: %s", version, shown, extra={f"chatvitals_{k}": v for k, v in parts.items()})

    def once(self, sentence: str) -> None:
        """Write a warning, unless it was written before.

        advice.once(UNSIGNED)

        """
        with self._lock:
            if sentence in self._said:
                return
            self._said.add(sentence)
        logger.warning(sentence)
