"""A progress bar for long commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import ExitStack


class Progress(Protocol):
    """The progress of a long command."""

    def advance(self, amount: float) -> None:
        """Record the amount of finished work."""


class _Silent:
    def advance(self, amount: float) -> None:
        """Do nothing."""


class _Bar:
    def __init__(self, stack: ExitStack, what: str, size: float) -> None:
        from rich.progress import Progress  # noqa: PLC0415 - an extra

        self._bar = stack.enter_context(Progress(transient=True))
        self._task = self._bar.add_task(what, total=size)

    def advance(self, amount: float) -> None:
        """Move the bar."""
        self._bar.advance(self._task, amount)


def watched(stack: ExitStack, what: str, size: float | None) -> Progress:
    """Return a progress bar on a terminal with rich, else a silent object."""
    if size is None or not sys.stdout.isatty():
        return _Silent()
    try:
        return _Bar(stack, what, size)
    except ModuleNotFoundError:
        return _Silent()
