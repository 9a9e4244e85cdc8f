"""Sentences for the log that tell how a bot is set up, and what is probably wrong with it; each is said once."""

from __future__ import annotations

import logging
import threading
from typing import Final

logger = logging.getLogger(__name__)

BAD_SIGNATURE: Final = (
    "A webhook with a wrong signature came and is not counted, nor are calls made while it was handled. Check that "
    "app_secret is the secret of this app, and that no proxy rewrites request bodies. "
    "Further ones are counted in chatvitals_webhooks_total."
)
UNSIGNED: Final = (
    "A webhook without a signature came and is not counted, nor are calls made while it was handled. WhatsApp signs "
    "all of its webhooks: check that the header X-Hub-Signature-256 reaches the bot. "
    "Further ones are counted in chatvitals_webhooks_total."
)
EXPLAINED: Final = frozenset({"bad_signature", "unsigned"})
"""What webhooks count as whose refusal a sentence explains."""
NO_WEBHOOKS: Final = "no webhooks"
"""The topic of all warnings that no webhook comes where one is watched for."""
NO_REPLIES: Final = "no replies"
"""The topic of the warning that no reply is seen."""
UNPROTECTED: Final = (
    "No app_secret is set, so that anybody who knows the webhook's address can change the numbers. "
    "Set app_secret (or CHATVITALS_APP_SECRET) to the app secret of your Meta app."
)


class Advice:
    """Writes each sentence at most once per process."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._shown: dict[str, str] = {}
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Take a new lock, in a forked child: the old one may stay held."""
        self._lock = threading.Lock()

    def started(self, version: str, **parts: str) -> None:
        """Write how the bot is set up, such as `store="SQLite"`; again when a part has changed."""
        with self._lock:
            if parts == self._shown:
                return
            self._shown = parts
        shown = ", ".join(f"{name} {value}" for name, value in parts.items())
        extra = {"chatvitals_version": version, **{f"chatvitals_{name}": value for name, value in parts.items()}}
        logger.info("Version %s: %s", version, shown, extra=extra)

    def once(self, sentence: str, *, topic: str = "") -> bool:
        """Write a warning, unless one of its topic was written before; return whether it was written.

        advice.once(UNSIGNED)

        Args:
            sentence: what is wrong, and what to do about it.
            topic: what it is about; by default the sentence is its own topic.

        """
        with self._lock:
            if (topic or sentence) in self._said:
                return False
            self._said.add(topic or sentence)
        logger.warning(sentence, extra={"chatvitals_topic": topic or "advice"})
        return True
