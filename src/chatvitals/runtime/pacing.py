"""Pauses of a background thread, so that the bot's event loop does not wait for the interpreter lock."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # as above

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_PIECE = 0.00004  # seconds of own work between two looks
_MOST_AT_ONCE = 0.0005  # seconds of own work between two pauses
_PAUSE = 0.00005  # after a sleep of 0, this thread mostly takes the lock back before a waiting thread wakes up
_UNDISTURBED = 0.00014  # seconds; a pause that took longer shows that another thread was at work
_FREED_AT_ONCE = 500  # entries
_LONGEST = 0.002  # seconds of pauses in a row, so that a busy bot does not keep this thread from its work


class Pace:
    """A timer of a thread's own work. It sleeps for a moment where another thread of the process waits for the lock.

    It looks for one after each forty microseconds of work, and sleeps after half a millisecond in any case. Most pauses
    would help nobody, and each costs about as much as ten looks.

    A request releases the interpreter lock several times, at each read and write of its socket. So while other threads
    are at work, this one sleeps on, and a request waits for it once instead of several times.
    """

    __slots__ = ("_longest", "_looked", "_paused", "_piece", "_switches")

    def __init__(self) -> None:
        self._looked = self._paused = time.perf_counter()
        self._switches = _switches()
        self.hurry(False)

    def hurry(self, urgent: bool) -> None:  # noqa: FBT001 - it is the only argument
        """Look less often, and sleep only once at a time, if `urgent`."""
        self._piece = _MOST_AT_ONCE if urgent else _PIECE
        self._longest = 0.0 if urgent else _LONGEST

    def give_way(self) -> None:
        """Sleep for a moment if another thread waits, or if the last pause was a while ago.

        Call it between two pieces of work.
        """
        now = time.perf_counter()
        if now - self._looked < self._piece:
            return
        if now - self._paused < _MOST_AT_ONCE and not self._is_awaited():
            self._looked = now
            return
        latest = now + self._longest
        while True:
            before = now
            time.sleep(_PAUSE)
            now = time.perf_counter()
            if now - before < _UNDISTURBED or now >= latest:
                break
        self._looked = self._paused = now
        self._switches = _switches()

    def _is_awaited(self) -> bool:
        """Return whether another thread of this process has run since the last pause, so that it may wait now.

        A thread that waits for the lock gives up its core, and the kernel counts this. On a shared core, it comes to
        wait only once this thread yields the core.
        """
        if not _COUNTED:
            return True
        os.sched_yield()
        return _switches() != self._switches


def _switches() -> int:
    """Return how often threads of this process have given up their core so far. Without a count, it is 0."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def _are_counted() -> bool:
    """Return whether the system counts switches and allows a thread to yield. Some sandboxes do neither."""
    try:
        os.sched_yield()
        return _switches() > 0
    except (AttributeError, OSError):
        return False


_COUNTED = _are_counted()


class _Thread(threading.local):
    """The pace of the current thread. It is None for the bot's own threads."""

    pace: Pace | None = None


_thread = _Thread()


def begin() -> None:
    """Let the current thread pause from now on where it calls `give_way`."""
    _thread.pace = Pace()


@contextmanager
def paced() -> Iterator[None]:
    """Let the current thread pause inside the block, for work of ours on a thread of the bot."""
    before = _thread.pace
    _thread.pace = Pace()
    try:
        yield
    finally:
        _thread.pace = before


def give_way() -> None:
    """Let other threads go first if the current thread is paced and has worked for a while."""
    pace = _thread.pace
    if pace is not None:
        pace.give_way()


def hurry(urgent: bool) -> None:  # noqa: FBT001 - it is the only argument
    """Let the current thread pause less, while more work waits than it has time for."""
    if _thread.pace is not None:
        _thread.pace.hurry(urgent)


def empty(found: dict[Any, Any]) -> None:
    """Remove all entries in pieces, because freeing many objects at once holds the lock for milliseconds."""
    while found:
        for _ in range(min(len(found), _FREED_AT_ONCE)):
            found.popitem()
        give_way()


def steps(items: Iterable[T], each: int = 2) -> Iterable[T]:
    """Return the items for a loop that gives way after every `each` items. It costs less than a call per item."""
    pace = _thread.pace
    return items if pace is None else _steps(items, each, pace)


def _steps(items: Iterable[T], each: int, pace: Pace) -> Iterator[T]:
    left = each
    for item in items:
        yield item
        left -= 1
        if not left:
            left = each
            pace.give_way()
