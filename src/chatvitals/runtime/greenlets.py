"""Waits in processes where gevent or eventlet has replaced threads, all of which a wait of the system would stop."""

from __future__ import annotations

import _thread
import sys
import time
from contextlib import contextmanager
from types import BuiltinFunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

_LOCK_SECONDS = 0.001  # between two looks at a lock that another greenlet may hold


def has_real_threads() -> bool:
    """Return whether threads belong to the system. gevent and eventlet replace them, and only sleeps switch theirs.

    The bot may have wrapped `time.sleep` for other reasons.
    """
    return isinstance(_thread.start_new_thread, BuiltinFunctionType)


def sleep(seconds: float) -> None:
    """Sleep. Other greenlets go on, even where the bot has kept the `time.sleep` that would stop them all."""
    if has_real_threads():
        time.sleep(seconds)
    else:
        _sleep_of(_thread.start_new_thread)(seconds)


@contextmanager
def holding(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock over waits. A greenlet that waits for it lets all others go on, one of which holds it.

    A lock of the system would stop them all for ever. It is one where gevent replaces locks after it was created, or
    only sockets.
    """
    pause = None if has_real_threads() else _sleep_of(_thread.start_new_thread)
    if are_sockets_bound_to_threads():
        pause = sys.modules["gevent"].sleep
    if pause is None:
        lock.acquire()
    else:
        while not lock.acquire(blocking=False):
            pause(_LOCK_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _sleep_of(function: object) -> Callable[[float], object]:
    """Return the sleep of the package that a function belongs to, which is gevent or eventlet."""
    package = sys.modules.get(str(getattr(function, "__module__", "")).partition(".")[0])
    found: Callable[[float], object] = getattr(package, "sleep", time.sleep)
    return found


def are_sockets_bound_to_threads() -> bool:
    """Return whether each socket belongs to one thread, because gevent has replaced sockets and kept threads."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and "socket" in getattr(monkey, "saved", ()) and has_real_threads()
