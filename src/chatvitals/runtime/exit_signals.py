"""A hook before a process ends itself by a signal, when no `atexit` handler runs (tests/safety/README.md 31).

uvicorn ends this way: after its shutdown, it raises the signal that stopped it once more, with the default action.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES: Final = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGBREAK")  # not each system has all of them
_ENDING: Final = frozenset(getattr(signal, name) for name in _NAMES if hasattr(signal, name))

_bare: Final = signal.raise_signal
_closers: list[Callable[[], None]] = []
_original: Callable[[int], None] | None = None  # the function that ours has replaced


def register(close: Callable[[], None]) -> None:
    """Call `close` before this process ends itself by `signal.raise_signal`.

    No handler of a signal is set or changed. A signal from outside that has no handler still ends the process at once.

    Args:
        close: function that takes a few seconds at most. A second call must do nothing.

    """
    global _original
    if not _closers and _original is None:  # otherwise another library's patch wraps ours
        _original, signal.raise_signal = signal.raise_signal, _raise_signal
    _closers.append(close)


def unregister(close: Callable[[], None]) -> None:
    """Forget `close`. The last call restores the original function, unless other code has replaced it since."""
    global _original
    with suppress(ValueError):
        _closers.remove(close)
    if not _closers and _original is not None and signal.raise_signal is _raise_signal:
        signal.raise_signal, _original = _original, None


@wraps(signal.raise_signal)
def _raise_signal(*args: Any, **kwargs: Any) -> None:
    if len(args) == 1 and _ends_process(args[0]):
        for close in _closers.copy():
            with suppress(Exception):  # the process ends, whatever happens here
                close()
    return (_original or _bare)(*args, **kwargs)


def _ends_process(number: Any) -> bool:
    """Return whether this signal would end the process now."""
    with suppress(Exception):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ()) if hasattr(signal, "pthread_sigmask") else ()
        return number in _ENDING and number not in blocked and signal.getsignal(number) is signal.SIG_DFL
    return False
