"""Exceptions that a signal handler of the bot raised while our code ran, such as Celery's soft time limit.

They are no errors of ours, although many of them derive from `Exception`. RQ's and many other time limits are alike.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType

_MOST_CAUSES = 8


def within(error: BaseException) -> BaseException | None:
    """Return the exception of a signal handler, which is `error` or hidden behind it, or None.

    Handlers run in the main thread only. It takes some microseconds, and nothing is looked up without an error.
    """
    if threading.current_thread() is not threading.main_thread():
        return None
    handlers = _handlers()
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None or not handlers:
            return None
        if _came_through(found, handlers):
            return found
        found = found.__cause__ or found.__context__
    return None


def _handlers() -> set[CodeType]:
    """Return the code of all signal handlers that are written in Python."""
    return {code for number in signal.valid_signals() if (code := _code(signal.getsignal(number))) is not None}


def _code(handler: Any) -> CodeType | None:
    """Return the code of a function, a method, a partial or an object that can be called."""
    function = getattr(handler, "func", handler)
    if not callable(function):  # the default action, or none
        return None
    code: CodeType | None = getattr(function, "__code__", None)
    return code or getattr(vars(type(function)).get("__call__"), "__code__", None)


def _came_through(error: BaseException, handlers: set[CodeType]) -> bool:
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers:
            return True
        trace = trace.tb_next
    return False
