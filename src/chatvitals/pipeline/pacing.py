"""Giving way: the thread must not keep the bot's event loop waiting for the interpreter lock."""

from __future__ import annotations

import time

_MOST_AT_ONCE = 0.0005  # seconds of own work
_PAUSE = 0.00005  # a sleep of 0 gives the lock up and mostly takes it back before a waiting thread has woken up


class Pace:
    """Counts a thread's own work and sleeps for a moment after each half millisecond of it."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def give_way(self) -> None:
        """Sleep for a moment if the last pause was half a millisecond ago; call it between two pieces of work."""
        if time.perf_counter() - self._since >= _MOST_AT_ONCE:
            time.sleep(_PAUSE)
            self._since = time.perf_counter()


def no_pace() -> None:
    """Do not give way: the work is done on the caller's own thread."""
