"""The contact of a webhook in the threads and jobs that its handler starts.

So steps, fallbacks and handovers work there. asyncio hands a context on to tasks and `to_thread` itself, but plain
threads, timers, pools and APScheduler do not. A pool's own threads live on and take nothing over. Each job in a pool
does.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from chatvitals import context
from chatvitals.runtime.import_hook import ImportHook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import ThreadPoolExecutor

    from chatvitals.context import Handling

_users = 0
_lock = threading.RLock()
_in_submit = threading.local()
_applied: list[_Replaced] = []


class _Replaced(msgspec.Struct, frozen=True):
    """A replaced method, with its original."""

    owner: type
    name: str
    had: Any
    ours: Any


def install() -> Callable[[], None]:
    """Hand contexts on from now on. Return a function that undoes it."""
    global _users  # noqa: PLW0603 - the classes are process-wide, and so is the number of their users
    with _lock:
        _users += 1
        _replace()
        _import_hook.install()
    done = False

    def undo() -> None:
        global _users  # noqa: PLW0603 - as above
        nonlocal done
        with _lock:
            if done:
                return
            done = True
            _users -= 1
            if not _users:
                _import_hook.remove()
                while _applied:
                    _put_back(_applied.pop())

    return undo


def _replace() -> None:
    """Replace the methods of all classes that have been imported."""
    with _lock:
        for module, owner, name, make in _METHODS:
            kind = getattr(sys.modules.get(module), owner, None)
            if (
                _users
                and isinstance(kind, type)
                and not any((each.owner, each.name) == (kind, name) for each in _applied)
            ):
                had = vars(kind).get(name)
                if callable(had):
                    ours = functools.wraps(had)(make(had))
                    setattr(kind, name, ours)
                    _applied.append(_Replaced(kind, name, had, ours))


def _put_back(replaced: _Replaced) -> None:
    """Restore the original method, unless another patch lies over ours. In that case ours passes all calls through."""
    if vars(replaced.owner).get(replaced.name) is replaced.ours:
        setattr(replaced.owner, replaced.name, replaced.had)


def _start(bare: Callable[..., Any]) -> Callable[..., Any]:
    def start(self: threading.Thread, *args: Any, **kwargs: Any) -> Any:
        if _users and not getattr(_in_submit, "on", False):
            with suppress(Exception):
                _take_along(self)
        return bare(self, *args, **kwargs)

    return start


def _take_along(thread: threading.Thread) -> None:
    """Run a thread that is about to start in the current handling. For a timer, wrap its function."""
    if isinstance(thread, threading.Timer):
        later = context.for_later()
        if later is not None:
            thread.function = _with(later, thread.function)
        return
    handling = context.to_hand_on()
    if handling is None:
        return
    bare = thread.run

    def run() -> None:
        with suppress(KeyError):
            del vars(thread)["run"]
        with context.bound(handling):
            bare()

    vars(thread)["run"] = run


def _submit(bare: Callable[..., Any]) -> Callable[..., Any]:
    def submit(self: ThreadPoolExecutor, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        handling = None
        if _users:
            with suppress(Exception):
                handling = context.to_hand_on()
        before = getattr(_in_submit, "on", False)
        _in_submit.on = True  # the pool may start a thread, which serves all jobs
        try:
            return bare(self, fn if handling is None else _with(handling, fn), *args, **kwargs)
        finally:
            _in_submit.on = before

    return submit


def _add_job(bare: Callable[..., Any]) -> Callable[..., Any]:
    def add_job(self: Any, func: Any, trigger: Any = None, *args: Any, **kwargs: Any) -> Any:
        if _users:
            with suppress(Exception):
                handling = context.for_later()
                once = trigger in (None, "date") or type(trigger).__name__ == "DateTrigger"
                if handling is not None and once and callable(func) and _in_memory(self, args, kwargs):
                    func = _with(handling, func)
        return bare(self, func, trigger, *args, **kwargs)

    return add_job


def _in_memory(scheduler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Return whether a job goes to a store in memory. Other stores keep a function by its name."""
    alias = kwargs.get("jobstore", args[7] if len(args) > 7 else "default")
    store = scheduler._jobstores.get(alias)  # noqa: SLF001 - there is no public way
    return store is None or type(store).__name__ == "MemoryJobStore"


def _wakeup(bare: Callable[..., Any]) -> Callable[..., Any]:
    def wakeup(self: Any, *args: Any, **kwargs: Any) -> Any:
        with context.bound(None):  # the scheduler's own task serves other jobs, too
            return bare(self, *args, **kwargs)

    return wakeup


@contextmanager
def _bound(handling: Handling) -> Iterator[None]:
    """Bind a handling. That of a timer or scheduler ends with the job."""
    try:
        with context.bound(handling):
            yield
    finally:
        if handling.is_later:
            handling.end()


def _with(handling: Handling, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` wrapped so that it runs in `handling`. Results and exceptions pass through."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            with _bound(handling):
                return await function(*args, **kwargs)

        return acall

    def call(*args: Any, **kwargs: Any) -> Any:
        with _bound(handling):
            return function(*args, **kwargs)

    with suppress(Exception):  # partials and callable objects have no name
        functools.update_wrapper(call, function)
    return call


_METHODS: tuple[tuple[str, str, str, Callable[[Callable[..., Any]], Callable[..., Any]]], ...] = (
    ("threading", "Thread", "start", _start),
    ("concurrent.futures", "ThreadPoolExecutor", "submit", _submit),
    ("apscheduler.schedulers.base", "BaseScheduler", "add_job", _add_job),
    ("apscheduler.schedulers.asyncio", "AsyncIOScheduler", "wakeup", _wakeup),
)
_import_hook = ImportHook([module for module, *_ in _METHODS if module.startswith("apscheduler")], _replace)
