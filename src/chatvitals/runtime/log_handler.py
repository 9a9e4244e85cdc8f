"""The log of chatvitals. It shows warnings even where a bot has configured no logging, and never raises."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class UnconfiguredHandler(logging.NullHandler):
    """A null handler that writes warnings to standard error if no other handler would get them.

    Python itself writes such warnings there, unless a library has a null handler. Most bots configure no logging.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a warning unless another handler does. It never raises."""
        if record.levelno >= logging.WARNING and logging.lastResort is not None and not self._is_handled(record):
            with suppress(Exception):
                sys.stderr.write(f"chatvitals: {record.getMessage()}\n")
        return True

    def _is_handled(self, record: logging.LogRecord) -> bool:
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


def log(logger: logging.Logger, level: int, sentence: str, *args: object, extra: Mapping[str, object]) -> None:
    """Log a sentence in the name of the caller. It never raises, although a handler of the bot may."""
    with suppress(Exception):
        logger.log(level, sentence, *args, extra=extra, stacklevel=2)


def install() -> None:
    """Add the handler to the logger `chatvitals`. A second call does nothing."""
    logger = logging.getLogger("chatvitals")
    if not any(isinstance(handler, UnconfiguredHandler) for handler in logger.handlers):
        logger.addHandler(UnconfiguredHandler())
