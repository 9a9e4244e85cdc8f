"""The log of webhooks about the business that call for action."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from chatvitals.runtime import log_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger: logging.Logger = logging.getLogger(__name__)

_MOST: Final = 20  # lines an hour; without an app secret, anybody may post webhooks
_HOUR: Final = 3600.0
_FULL: Final = "Further events of accounts are not logged for now. chatvitals_account_events_total counts all of them."


class AccountLog:
    """A log that writes at most twenty lines an hour, and the same line once in an hour.

    Args:
        clock: function that returns seconds of any origin.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: dict[str, float] = {}

    def write(self, notices: Iterable[str]) -> None:
        """Log these sentences as warnings."""
        now = self._clock()
        self._written = {notice: at for notice, at in self._written.items() if 0.0 <= now - at < _HOUR}
        for notice in notices:
            sentence = notice if len(self._written) < _MOST else _FULL
            if sentence not in self._written and notice not in self._written:
                self._written[sentence] = now
                log_handler.log(logger, logging.WARNING, sentence, extra={"chatvitals_topic": "account"})
