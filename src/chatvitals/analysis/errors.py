"""Errors that keep an analysis from an answer. Each error has its own exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class AnalysisError(Exception):
    """There is no answer. The message says why and what to do."""

    status = 1


class SourceUnavailableError(AnalysisError):
    """The numbers cannot be read, or not within the time limit."""

    status = 1


class MissingSourceError(AnalysisError):
    """No Prometheus is given for a question that needs one."""

    status = 2


class WrongNameError(AnalysisError):
    """There is no such experiment, number, journey or version, or an option cannot be understood."""

    status = 2


class TooLittleDataError(AnalysisError):
    """The known history is too short, or holds too few numbers."""

    status = 3


def listed(names: Iterable[str]) -> str:
    """Return names as a list for a sentence, or `none yet` where there are no names."""
    return ", ".join(printable(name) for name in sorted(set(names)) if name) or "none yet"


def printable(text: str) -> str:
    """Return a text that is safe for a terminal. Unprintable characters become `?`, because names come from outside."""
    return "".join(char if char.isprintable() else "?" for char in text)
