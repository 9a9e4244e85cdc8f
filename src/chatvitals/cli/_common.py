"""Exit codes, error output and argument types for all commands."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

OK, FAILED, WRONG, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses for success, failure or needed attention, an invalid argument or setting, and Ctrl-C."""


_ADVICE = {
    FileNotFoundError: "check the path",
    FileExistsError: "it is a file, so name a folder",
    NotADirectoryError: "it is a file, so name a folder",
    IsADirectoryError: "it is a folder, so name a file",
    PermissionError: "check its owner and its permissions",
}


def refused(command: str, sentence: str, status: int = WRONG) -> int:
    """Print an error to standard error and return the exit status.

    return refused("store", "the target is not empty")

    """
    sys.stderr.write(f"chatvitals {command}: {sentence}\n")
    return status


def prepare_output() -> None:
    """Let standard output take every text: a character that its encoding lacks becomes a question mark.

    A stream that the shell has closed (`>&-`) is replaced by one that takes everything.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it stays open
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def discard_output() -> None:
    """Send the rest of standard output nowhere, because the interpreter's end would fail on it once more."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def can_show(text: str) -> bool:
    """Return whether standard output's encoding has all characters of a text."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def seconds(text: str) -> float:
    """Return an argument's number of seconds, above 0."""
    value = _number(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, not {text!r}")
    return value


def days(text: str) -> float:
    """Return an argument's number of days, up to 366."""
    value = _number(text)
    if not 0.0 < value <= 366.0:
        raise argparse.ArgumentTypeError(f"must be a number of days above 0 and up to 366, not {text!r}")
    return value


def share(text: str) -> float:
    """Return an argument's share. The command knows its limits."""
    value = _number(text)
    if not 0.0 < value < 1.0:
        raise argparse.ArgumentTypeError(f"must be a share between 0 and 1, such as 0.95, not {text!r}")
    return value


def whole(text: str) -> int:
    """Return an argument's whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None


def port(text: str) -> int:
    """Return an argument's port."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 (any free one) to 65535, not {text!r}")
    return int(text)


def path(text: str) -> Path:
    """Return an argument's path. An empty text comes from an unset variable, and would name the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("must be a path, and not an empty text")
    return Path(text)


def output(text: str) -> Path:
    """Return the path of a file or folder to write to."""
    if text == "-":
        raise argparse.ArgumentTypeError("must be a path, because standard output shows the progress, not '-'")
    return path(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def reason(error: Exception) -> str:
    """Return the text of an error. A file that cannot be used comes first, with advice and without the error's number.

    An error of the operating system without a file is about the output.
    """
    if not isinstance(error, OSError):
        return str(error)
    says = error.strerror or str(error)
    if isinstance(error, BrokenPipeError):
        return "the reader of the output has closed it"
    if not error.filename:
        return f"the output cannot be written ({says}): free some space, or write it elsewhere"
    advice = next(
        (text for kind, text in _ADVICE.items() if isinstance(error, kind)), "free some space, or name another"
    )
    return f"{error.filename} cannot be used: {says} ({advice})"
