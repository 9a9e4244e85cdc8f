"""A daemon thread that works for all processes on a store. Only the process with the lease does the work."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, ClassVar

from chatvitals.runtime import fork_hooks

if TYPE_CHECKING:
    from chatvitals.runtime.error_guard import ErrorGuard

_CLOSE_SECONDS = 1.0


class LeasedThread:
    """A thread that starts on demand in any process, starts anew in a forked child, and ends within a second.

    Args:
        guard: counts errors.

    """

    place: ClassVar[str]
    """The name of the thread and its errors."""
    without: ClassVar[str]
    """The effect of a thread that cannot be started, for the log."""

    def __init__(self, guard: ErrorGuard) -> None:
        self._guard = guard
        self._closed = False
        self._begin()
        fork_hooks.watch(self)

    def _begin(self) -> None:
        """Start without a thread, at first and in a forked child. The parent keeps its own thread and leases."""
        self._lock = threading.Lock()
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def before_fork(self) -> None:
        """Do nothing, because a child takes nothing over."""

    def after_fork_in_parent(self) -> None:
        """Do nothing, because the parent goes on."""

    def after_fork_in_child(self) -> None:
        """Reset, without the parent's leases and connections."""
        self._begin()

    def ensure(self) -> None:
        """Start the thread where this process has none. It is cheap enough to be called with every webhook."""
        if self._thread is not None or self._closed:
            return
        with self._lock:
            if self._thread is not None or self._closed:
                return
            self._thread = threading.Thread(target=self._run, name=f"chatvitals-{self.place}", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no threads here, or the interpreter is ending
                self._closed = True
                self._guard.report(self.place, error, message=f"no thread could be started, so {self.without}")

    def close(self) -> None:
        """Stop within a second. Unfinished work is abandoned, and its results are dropped."""
        self._closed = True
        self._stop.set()
        thread = self._thread
        if thread is not None and thread.ident is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)  # not of a thread that another thread is about to start

    def _run(self) -> None:
        """Work until `_stop` is set. It must not raise."""
        raise NotImplementedError
