"""What can keep an analysis from an answer; each has an exit status of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class AnalysisError(Exception):
    """There is no answer; the message is a sentence that says why and what to do."""

    status = 1


class SourceUnavailableError(AnalysisError):
    """The numbers cannot be read, or not in time."""

    status = 1


class WrongNameError(AnalysisError):
    """There is no such experiment, number, journey or version, or an option cannot be understood."""

    status = 2


class TooLittleDataError(AnalysisError):
    """The numbers do not reach far enough."""

    status = 3


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence; `none yet` where there are none."""
    return ", ".join(printable(name) for name in sorted(set(names)) if name) or "none yet"


def printable(text: str) -> str:
    """Return a text as a terminal may get it: names come from whatever answers."""
    return "".join(char if char.isprintable() else "?" for char in text)
