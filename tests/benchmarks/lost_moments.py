"""The moments in which bot or load had no core, because the host or another process had it.

A service of the machine that wakes up once a second for five milliseconds decides the p99.9 of whoever shares its core.
"""

from __future__ import annotations

import bisect
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOOK = 0.02  # seconds between two looks
_LEAST = 1_000_000  # nanoseconds in which a neighbour had a core since the last look
_AWAKE = 500_000  # nanoseconds in which a process had a core during the survey
_SURVEY = 2.5  # seconds
_STEAL = 8  # its place among the words of the first line of /proc/stat
_MOST_NEIGHBOURS = 4  # processes, because each look costs the load some microseconds for each of their threads


class LostMoments:
    """The moments in which a core was not there for the benchmark. Times are Unix times.

    Args:
        now: the time.
        neighbours: the processes that may take a core. `neighbours` finds them.

    """

    def __init__(self, now: float, neighbours: Sequence[int] = ()) -> None:
        self._looked = now
        self._stolen = _stolen()
        self._clocks = [file.open("rb", buffering=0) for pid in neighbours for file in _threads(pid)]
        self._used = self._read()
        self._begins: list[float] = []
        self._ends: list[float] = []

    def look(self, now: float) -> None:
        """Note whether a core was taken away since the last look. Call it often."""
        if now - self._looked < _LOOK:
            return
        stolen, used = _stolen(), self._read()
        if stolen != self._stolen or used - self._used >= _LEAST:
            self._begins.append(self._looked - _LOOK)  # the kernel counts in steps of up to 10 ms
            self._ends.append(now + _LOOK)  # until a queue has gone
        self._stolen, self._used = stolen, used
        self._looked = now

    def touch(self, begin: float, end: float) -> bool:
        """Return whether one of them lies within a span of time, or partly so."""
        position = bisect.bisect_left(self._ends, begin)
        return position < len(self._begins) and self._begins[position] <= end

    def close(self) -> None:
        """Close the files."""
        for clock in self._clocks:
            clock.close()

    def _read(self) -> int:
        total = 0
        for clock in self._clocks:
            with suppress(OSError):  # the thread has ended
                total += int(os.pread(clock.fileno(), 40, 0).split()[0])
        return total


def neighbours() -> list[int]:
    """Return the processes other than this one that had a core in the next seconds, the busiest first.

    Call it before the benchmark starts any other process. The kernel's own threads are not among them, because they
    work for the bot as well.
    """
    before = dict(_processes())
    time.sleep(_SURVEY)
    used = {pid: spent - before.get(pid, 0) for pid, spent in _processes() if pid != os.getpid()}
    awake = [pid for pid, spent in used.items() if spent >= _AWAKE]
    return sorted(awake, key=used.__getitem__, reverse=True)[:_MOST_NEIGHBOURS]


def core_seconds(pid: int) -> float:
    """Return how long the threads of a process have had a core. It is 0 for a process that has ended."""
    with suppress(OSError):
        return 1e-9 * sum(int(file.read_bytes().split()[0]) for file in _threads(pid))
    return 0.0


def _processes() -> Iterator[tuple[int, int]]:
    """Yield each process with the nanoseconds of its threads."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):  # a process may end at any time
            pid = int(folder.name)
            if (folder / "cmdline").read_bytes():
                yield pid, sum(int(file.read_bytes().split()[0]) for file in _threads(pid))


def _threads(pid: int) -> list[Path]:
    """Return the files that tell how long each thread of a process has had a core."""
    return list(Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _stolen() -> int:
    """Return how long the host has given cores of this machine to others, in steps of 10 ms."""
    with Path("/proc/stat").open(encoding="ascii") as file:
        return int(file.readline().split()[_STEAL])
