"""A bar that shows how far a long command has come."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import ExitStack


class Progress(Protocol):
    """Shows how far a long command has come."""

    def advance(self, amount: float) -> None:
        """Note that so much more has been done."""


class _Silent:
    def advance(self, amount: float) -> None:
        """Say nothing."""


class _Bar:
    def __init__(self, stack: ExitStack, what: str, size: float) -> None:
        from rich.progress import Progress  # noqa: PLC0415 - an extra

        self._bar = stack.enter_context(Progress(transient=True))
        self._task = self._bar.add_task(what, total=size)

    def advance(self, amount: float) -> None:
        """Move the bar."""
        self._bar.advance(self._task, amount)


def watched(stack: ExitStack, what: str, size: float | None) -> Progress:
    """Return a bar where a person watches and rich is installed."""
    if size is None or not sys.stdout.isatty():
        return _Silent()
    try:
        return _Bar(stack, what, size)
    except ModuleNotFoundError:
        return _Silent()
