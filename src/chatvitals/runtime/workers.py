"""Whether this process is one of several workers of a server."""

from __future__ import annotations

import os
import re
from pathlib import Path

_OPTION = re.compile(r"^(?:--workers|-w)(?:=?(\d+))?$")


def count(environ: dict[str, str] | None = None, parent: list[str] | None = None) -> int:
    """Return how many workers the server runs, as far as its command or `WEB_CONCURRENCY` tells; else 1.

    Args:
        environ: the environment; by default that of this process.
        parent: the words of the parent's command; by default they are read, which Linux alone allows.

    """
    environ = dict(os.environ) if environ is None else environ
    words = _command(os.getppid()) if parent is None else parent
    for index, word in enumerate(words):
        option = _OPTION.match(word)
        if option:
            told = option[1] or (words[index + 1] if index + 1 < len(words) else "")
            return int(told) if told.isdigit() else 1
    told = environ.get("WEB_CONCURRENCY", "")
    return int(told) if told.isdigit() else 1


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
