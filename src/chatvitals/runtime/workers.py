"""Detection of several workers of a server."""

from __future__ import annotations

import os
import re
from pathlib import Path

_OPTION = re.compile(r"^(?:--workers|-w)(?:=?(\d+))?$")


def count(environ: dict[str, str] | None = None, parent: list[str] | None = None) -> int:
    """Return the number of workers of the server, from its command line or `WEB_CONCURRENCY`, else 1.

    Args:
        environ: the environment. The default is that of this process.
        parent: the words of the parent's command line. By default they are read from /proc, which needs Linux.

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
