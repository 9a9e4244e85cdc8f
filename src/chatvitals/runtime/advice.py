"""Log messages about the bot's set-up and its probable mistakes. Each is logged once."""

from __future__ import annotations

import logging
import threading
from typing import Final

from chatvitals.runtime import log_handler

logger: logging.Logger = logging.getLogger(__name__)

BAD_SIGNATURE: Final = (
    "A webhook with a wrong signature came and is not counted, nor are calls made while it was handled. Check that "
    "app_secret is the secret of this app, and that no proxy rewrites request bodies. "
    "Further webhooks like this are counted in chatvitals_webhooks_total."
)
UNSIGNED: Final = (
    "A webhook without a signature came and is not counted, nor are calls made while it was handled. WhatsApp signs "
    "all of its webhooks: check that the header X-Hub-Signature-256 reaches the bot. A partner such as 360dialog may "
    "forward webhooks unsigned: then set no app_secret, and protect the address in another way. "
    "Further webhooks like this are counted in chatvitals_webhooks_total."
)
UNDECODABLE: Final = (
    "A webhook came that does not have the form of WhatsApp's Cloud API, and is not counted. A partner may translate "
    "webhooks into its own form, as Twilio, Vonage and Infobip do: ask it to forward Meta's webhooks unchanged. "
    "Further webhooks like this are counted in chatvitals_webhooks_total."
)
UNREAD: Final = (
    "The bot answered a webhook without reading its body, so nothing of this webhook is counted. Read the whole "
    "body in the handler, or pass it to vitals.observe_webhook(). "
    "Further webhooks like this are counted in chatvitals_webhooks_total."
)
EXPLAINED: Final = frozenset({"bad_signature", "unsigned"})
"""Results of webhooks whose refusal is explained by a message above."""
NO_WEBHOOKS: Final = "no webhooks"
"""The topic of all warnings that no webhook reaches a watched path."""
NO_REPLIES: Final = "no replies"
"""The topic of the warning that no reply was seen."""
UNPROTECTED: Final = (
    "No app_secret is set, so anybody who knows the webhook's address can change the numbers. "
    "Set app_secret (or CHATVITALS_APP_SECRET) to the app secret of your Meta app."
)


class Advice:
    """A log that writes each sentence at most once per process."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._shown: dict[str, str] = {}
        self._lock = threading.Lock()

    def reset(self) -> None:
        """Create a new lock in a forked child, because the old lock may stay held."""
        self._lock = threading.Lock()

    def has_said(self, topic: str) -> bool:
        """Return whether a warning of a topic was written."""
        with self._lock:
            return topic in self._said

    def started(self, version: str, **parts: str) -> None:
        """Log the bot's set-up, such as `store="SQLite"`. Log it again when a part has changed."""
        with self._lock:
            if parts == self._shown:
                return
            self._shown = parts
        shown = ", ".join(f"{name} {value}" for name, value in parts.items())
        extra = {"chatvitals_version": version, **{f"chatvitals_{name}": value for name, value in parts.items()}}
        log_handler.log(logger, logging.INFO, "Version %s: %s", version, shown, extra=extra)

    def once(self, sentence: str, *, topic: str = "") -> bool:
        """Log a warning, unless a warning with its topic was logged before. Return whether it was logged.

        advice.once(UNSIGNED)

        Args:
            sentence: the problem and its solution.
            topic: the subject of the warning. The default is the sentence itself.

        """
        with self._lock:
            if (topic or sentence) in self._said:
                return False
            self._said.add(topic or sentence)
        log_handler.log(logger, logging.WARNING, sentence, extra={"chatvitals_topic": topic or "advice"})
        return True
