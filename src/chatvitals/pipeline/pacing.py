"""Pauses of the thread, so that the bot's event loop does not wait for the interpreter lock."""

from __future__ import annotations

import time

_MOST_AT_ONCE = 0.0005  # seconds of own work
_PAUSE = 0.00005  # after a sleep of 0, this thread mostly takes the lock back before a waiting thread wakes up


class Pace:
    """A timer of a thread's own work. It sleeps for a moment after each half millisecond of work."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def give_way(self) -> None:
        """Sleep for a moment if the last pause was half a millisecond ago. Call it between two pieces of work."""
        if time.perf_counter() - self._since >= _MOST_AT_ONCE:
            time.sleep(_PAUSE)
            self._since = time.perf_counter()


def no_pace() -> None:
    """Do not pause, because the work runs on the caller's own thread."""
