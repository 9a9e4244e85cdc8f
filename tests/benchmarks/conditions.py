"""The needs of a benchmark on its machine, and the disturbance by other processes."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_OTHERS = 0.1  # cores that other processes may use on average


def missing(packages: Iterable[str], programs: Iterable[str] = ()) -> str:
    """Return a sentence with the first thing that this machine lacks for a benchmark, else nothing."""
    for package in packages:
        if not _is_installed(package):
            return f"This benchmark needs the package {package}: install the extra `dev`."
    for program in programs:
        if shutil.which(program) is None:
            return f"This benchmark needs the program {program}, which is not installed."
    if not sys.platform.startswith("linux"):
        return "This benchmark needs Linux, because it reads /proc and gives bot and load a core each."
    if len(os.sched_getaffinity(0)) < 2:
        return "This benchmark needs two cores: one for the bot and one for the load."
    return ""


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # the package above a dotted name
        return False


class Others:
    """What other processes, and other machines on the same host, use of this machine from now on.

    Args:
        host: whether to count the other machines. A benchmark that leaves out the moments of theirs does not.

    """

    def __init__(self, *, host: bool = True) -> None:
        self._host = host
        self._began = time.monotonic()
        self._busy, self._own = _busy(host), _own()

    def cores(self) -> float:
        """Return how many cores they used on average. Children of this process count once they have ended."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        return max(0.0, (_busy(self._host) - self._busy) - (_own() - self._own)) / seconds

    def complaint(self) -> str:
        """Return a sentence where they used too much for a verdict, else nothing."""
        cores = self.cores()
        if cores <= _MOST_OTHERS:
            return ""
        return f"Other processes used {cores:.1f} cores meanwhile, so there is no verdict."


def _busy(host: bool) -> float:  # noqa: FBT001 - a private function
    """Return the CPU seconds of all processes since the start of the machine, with `host` those of the host, too."""
    user, nice, system, _idle, _wait, irq, soft, steal = _times()
    return (user + nice + system + irq + soft + host * steal) / os.sysconf("SC_CLK_TCK")


def _times() -> list[int]:
    return [int(each) for each in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]


def _own() -> float:
    return sum(os.times()[:4])
