"""A daemon thread that works for all processes on a store: of these, the one that holds a lease does the work."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, ClassVar

from chatvitals.runtime import fork_hooks

if TYPE_CHECKING:
    from chatvitals.runtime.error_guard import ErrorGuard

_CLOSE_SECONDS = 1.0


class LeasedThread:
    """Starts in whatever process needs it, begins anew in a forked child, and ends within a second.

    Args:
        guard: counts what goes wrong.

    """

    place: ClassVar[str]
    """What the thread and its errors are called."""
    without: ClassVar[str]
    """What is lost where no thread can be started."""

    def __init__(self, guard: ErrorGuard) -> None:
        self._guard = guard
        self._closed = False
        self._begin()
        fork_hooks.watch(self)

    def _begin(self) -> None:
        """Begin without a thread: at first, and in a forked child, whose parent keeps its own thread and leases."""
        self._lock = threading.Lock()
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def before_fork(self) -> None:
        """Do nothing: a child takes nothing over."""

    def after_fork_in_parent(self) -> None:
        """Do nothing: the parent goes on."""

    def after_fork_in_child(self) -> None:
        """Begin anew, without the parent's leases and connections."""
        self._begin()

    def ensure(self) -> None:
        """Start the thread where this process has none; cheap enough to be called with every webhook."""
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
                self._guard.report(self.place, error, message=f"no thread could be started; {self.without}")

    def close(self) -> None:
        """Stop within a second; what is under way then is left alone and tells nothing any more."""
        self._closed = True
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        """Work until `_stop` is set; it must not raise."""
        raise NotImplementedError
