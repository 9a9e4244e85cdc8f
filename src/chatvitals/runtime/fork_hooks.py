"""Hooks around a fork, so that a child starts in a clean state (tests/safety/README.md 29)."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, NoReturn, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable


class Forkable(Protocol):
    """An object that needs preparation for a fork. None of its methods may raise."""

    def before_fork(self) -> None:
        """Pause, so that no work is half done during the fork."""

    def after_fork_in_parent(self) -> None:
        """Resume work in the parent."""

    def after_fork_in_child(self) -> None:
        """Reset in the child, where no other thread exists."""


_watched: WeakSet[Forkable] = WeakSet()
_is_child = False
_closers: list[Callable[[], None]] = []  # of this forked child


def watch(something: Forkable) -> None:
    """Notify `something` of each fork, for as long as it exists."""
    _watched.add(something)


def before_exit(close: Callable[[], None]) -> None:
    """Call `close` before this process ends, if it is a forked child, or a child of multiprocessing or billiard.

    Such a child may end by `os._exit` without `atexit` handlers, and its queue would be lost. Servers that fork for
    each request end every child so, such as those of `socketserver.ForkingMixIn` and Werkzeug with `processes`.
    """
    if _is_child:
        _close_before_os_exit(close)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing.util import Finalize  # noqa: PLC0415 - in such a child it is imported already

        Finalize(None, close, exitpriority=100)
    billiard = sys.modules.get("billiard.process")
    if billiard is not None and getattr(billiard.current_process(), "_parent_pid", None) is not None:
        from billiard.util import Finalize as BilliardFinalize  # noqa: PLC0415 - as above

        BilliardFinalize(None, close, exitpriority=100)
        signals = sys.modules.get("celery.signals")
        if signals is not None:  # a child of Celery's pool also skips billiard's finalizers
            signals.worker_process_shutdown.connect(lambda **_: close(), weak=False)


def is_pool_worker() -> bool:
    """Return whether this process is a worker of a `multiprocessing.Pool`.

    At the end of `with Pool() as pool:`, the pool kills its workers as soon as it has the last result.
    """
    module = sys.modules.get("multiprocessing.process")
    process = None if module is None else module.current_process()
    return process is not None and process.daemon and "PoolWorker-" in process.name


def _close_before_os_exit(close: Callable[[], None]) -> None:
    """Let `os._exit` of this forked child call `close` first. The parent and other children are not changed."""
    if not _closers:
        end = os._exit

        @wraps(end)
        def close_and_end(status: int) -> NoReturn:
            while _closers:
                with suppress(Exception):  # the process ends, whatever happens here
                    _closers.pop()()
            end(status)

        os._exit = close_and_end
    _closers.append(close)


def _before() -> None:
    for something in list(_watched):
        something.before_fork()


def _in_parent() -> None:
    for something in list(_watched):
        something.after_fork_in_parent()


def _in_child() -> None:
    global _is_child  # noqa: PLW0603 - it is a fact about the process
    _is_child = True
    _closers.clear()  # they belong to the parent
    for something in list(_watched):
        something.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
