"""The guard that keeps chatvitals' errors from the bot. It counts and logs them, and never raises."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from chatvitals.runtime import interrupts, log_handler
from chatvitals.runtime.advice import Advice

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

logger: logging.Logger = logging.getLogger(__name__)

_QUIET_SECONDS = 60.0


class ErrorGuard:
    """Context managers that swallow `Exception` (never `BaseException`), count it by place and log it once a minute.

    `on_error` is called with the place and the exception. Tests use it to fail on every swallowed error.
    """

    def __init__(self, on_error: Callable[[str, Exception], None] | None = None) -> None:
        self.errors: Counter[str] = Counter()  # not yet handed to the store, see `drain`
        self.on_error = on_error
        self.advice: Advice = Advice()
        """The log of advice on the bot's set-up that is given once."""
        self._logged: dict[str, float] = {}
        self._lock = threading.RLock()

    def __call__(self, where: str) -> _Fence:
        """Return a context manager that keeps errors at `where` from the bot."""
        return _Fence(self, where)

    def report(self, where: str, error: Exception | None = None, *, message: str = "") -> None:
        """Count a problem at `where`. Log the error's type, never its text, which may hold personal data.

        Raises:
            BaseException: a signal handler of the bot raised the error while our code ran, as time limits of tasks do.

        """
        if error is not None:
            _pass_on(error)
        with self._lock:
            self.errors[where] += 1
            now = time.monotonic()
            quiet = now - self._logged.get(where, -_QUIET_SECONDS) < _QUIET_SECONDS
            if not quiet:
                self._logged[where] = now
        if not quiet:
            what = f"{_origin(error) if error is not None else 'a problem'} in {where}"
            log_handler.log(
                logger,
                logging.WARNING,
                "%s. The bot is not affected, but some numbers may be missing. "
                "Further problems are counted in chatvitals_internal_errors_total and logged once a minute.",
                f"{message} ({where})" if message else what,
                extra={"chatvitals_where": where},
            )
        if error is not None and self.on_error is not None:
            self.on_error(where, error)

    def mistake(self, where: str, sentence: str, *, topic: str = "") -> None:
        """Count a mistake in the bot's code at `where`, and explain it once."""
        with self._lock:
            self.errors[where] += 1
        self.advice.once(sentence, topic=topic)

    def count(self, where: str) -> None:
        """Count a problem that the log has explained already."""
        with self._lock:
            self.errors[where] += 1

    def reset(self) -> None:
        """Reset the counts in a forked child. Its parent keeps them."""
        self._lock = threading.RLock()
        self.advice.reset()
        self.errors = Counter()

    def drain(self) -> Counter[str]:
        """Return the counts since the last call, and reset them."""
        with self._lock:
            taken, self.errors = self.errors, Counter()
            return taken


class _Fence:
    """One use of the guard."""

    __slots__ = ("_guard", "_where", "failed")

    def __init__(self, guard: ErrorGuard, where: str) -> None:
        self._guard = guard
        self._where = where
        self.failed: bool = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if not isinstance(error, Exception) or isinstance(error, BaseExceptionGroup):
            return False  # a group holds errors that others raised
        self.failed = True
        if interrupts.within(error) is error:
            return False  # as it is, without a frame of ours more
        self._guard.report(self._where, error)
        return True


def _pass_on(error: Exception) -> None:
    """Raise the exception of a signal handler again, unchanged."""
    found = interrupts.within(error)
    if found is not None:
        context = found.__context__
        try:
            raise found
        finally:
            found.__context__ = context


def _origin(error: Exception) -> str:
    """Return the error's type and our line that raised it, without the error's message."""
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    place = f" at {tb.tb_frame.f_globals.get('__name__', '?')}:{tb.tb_lineno}" if tb is not None else ""
    return f"{type(error).__name__}{place}"
