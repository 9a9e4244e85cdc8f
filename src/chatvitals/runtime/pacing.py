"""Pauses of a background thread, so that the bot's event loop does not wait for the interpreter lock."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from chatvitals.runtime import greenlets

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # as above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

_PIECE = 0.00003  # seconds of own work between two looks
_BUSY_PIECE = 0.0005  # the same while more work waits than there is time for
_COOPERATIVE_PIECE = 0.0005  # the same under gevent, whose shortest pause is a round of its event loop
_MOST_AT_ONCE = 0.002  # seconds of own work between two pauses
_PAUSE = 0.00005  # after a sleep of 0, this thread mostly takes the lock back before a waiting thread wakes up
_DISTURBED = 0.00009  # seconds beyond the shortest pause; a pause that took longer shows another thread at work
_FREED_AT_ONCE = 500  # entries
_LOOKS = 20  # at the count of switches, before it is believed to stand still
_LONGEST = 0.002  # seconds of pauses in a row, so that a busy bot does not keep this thread from its work


class Pace:
    """A timer of a thread's own work. It lets other threads go first where they wait for the interpreter lock.

    After each thirty microseconds of work, it releases the lock and yields its core for a moment. A thread that waits
    on the same core takes both. A thread on another core wakes up too late for that, so it gets a pause. Where nobody
    can tell whether a thread waits, each piece of work ends with a pause.

    The threads of gevent and eventlet are one thread of the system, in which all that is ready goes first.

    A pause takes a timer of the system, which costs as much as twenty yields, and a hundred in some virtual machines.
    A request releases the lock several times, at each read and write of its socket. So while other threads are at work,
    this one sleeps on, and a request waits for it once instead of several times.
    """

    __slots__ = (
        "_has_one_core",
        "_is_cooperative",
        "_longest",
        "_looked",
        "_paused",
        "_piece",
        "_shortest",
        "_switches",
        "_yield_core",
    )

    def __init__(self) -> None:
        self._is_cooperative = not greenlets.has_real_threads()
        self._yield_core = None if self._is_cooperative else _yield_core
        self._looked = self._paused = time.perf_counter()
        self._switches = _switches()
        self._has_one_core = _has_one_core()
        self._shortest = inf  # seconds of a pause; virtual machines take three times as long as others
        self.hurry(False)

    def hurry(self, urgent: bool) -> None:  # noqa: FBT001 - it is the only argument
        """Look less often, and sleep only once at a time, if `urgent`."""
        calm = _COOPERATIVE_PIECE if self._is_cooperative else _PIECE
        self._piece = _BUSY_PIECE if urgent else calm
        self._longest = 0.0 if urgent else _LONGEST

    def give_way(self) -> None:
        """Let others go first, if this thread has worked for a while. Call it between two pieces of work."""
        now = time.perf_counter()
        if now - self._looked < self._piece or self._has_yielded():
            return
        if self._is_cooperative:
            greenlets.sleep(0.0)  # all that is ready goes first; a timer would take a millisecond
            self._looked = time.perf_counter()
            return
        latest = now + self._longest
        while True:
            before = now
            time.sleep(_PAUSE)
            now = time.perf_counter()
            self._shortest = min(self._shortest, now - before)
            if now - before < self._shortest + _DISTURBED or now >= latest:
                break
        self._looked = self._paused = now
        self._switches = _switches()

    def _has_yielded(self) -> bool:
        """Yield the core without the interpreter lock. Return whether no other thread needs a pause after that."""
        if self._yield_core is None:
            return False
        self._yield_core()
        self._looked = after = time.perf_counter()
        return self._has_one_core or (self._switches == _switches() and after - self._paused < _MOST_AT_ONCE)


def _switches() -> int:
    """Return how often threads of this process have given up their core so far. Without a count, it is 0.

    A thread that waits for the interpreter lock gives up its core. So the lock was free while the count has not moved.
    """
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw


def _has_one_core() -> bool:
    """Return whether all threads of this process share a single core."""
    try:
        return len(os.sched_getaffinity(0)) == 1
    except (AttributeError, OSError):
        return False


def _counts_switches() -> bool:
    """Return whether a sleep moves the count of switches.

    A sleep that is over before its thread gives up the core moves nothing. On a busy machine one in 500 is. So one that
    moves the count is enough.
    """
    for _ in range(_LOOKS):
        before = _switches()
        time.sleep(_PAUSE)
        if _switches() > before:
            return True
    return False


def _found_yield() -> Callable[[], object] | None:
    """Return a function that yields the core, and the interpreter lock meanwhile. None where it cannot be trusted.

    Without a count of switches, it would hide a thread that waits on another core. Some sandboxes know neither.
    """
    try:
        if sys.version_info >= (3, 12):  # the older function keeps the lock
            found: Callable[[], object] = os.sched_yield
        else:
            import ctypes  # noqa: PLC0415 - only there

            found = ctypes.CDLL(None).sched_yield  # it releases the lock like any foreign function
        if _counts_switches() and found() in {None, 0}:
            return found
    except (AttributeError, ImportError, OSError, TypeError):  # CDLL(None) is a TypeError on Windows
        pass
    return None


_yield_core = _found_yield()


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


def steps(items: Iterable[T], each: int = 1) -> Iterable[T]:
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
