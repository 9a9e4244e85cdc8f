"""Requests are left out while the host or another process had a core, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from tests.benchmarks import lost_moments
from tests.benchmarks.lost_moments import LostMoments
from tests.helpers.waiting import until

if TYPE_CHECKING:
    import pytest

WORKS_WHEN_TOLD = """
import sys, time
for line in sys.stdin:
    end = time.process_time() + float(line)
    while time.process_time() < end:
        pass
    print("done", flush=True)
"""


def test_moments_that_the_host_took_away_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel counts in steps, so the time of one look before and after belongs to a moment."""
    stolen = 0
    monkeypatch.setattr(lost_moments, "_stolen", lambda: stolen)
    lost = LostMoments(100.0)
    lost.look(100.1)
    stolen = 1
    lost.look(100.11)  # too early for a look
    assert not lost.touch(100.0, 101.0)
    lost.look(100.2)
    lost.look(100.3)
    assert lost.touch(100.0, 101.0)
    assert lost.touch(100.15, 100.16)
    assert lost.touch(100.21, 100.5)
    assert not lost.touch(100.0, 100.07)
    assert not lost.touch(100.23, 101.0)


def test_moments_of_another_process_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour that only sleeps takes nothing away, and one that has ended does no harm."""
    monkeypatch.setattr(lost_moments, "_stolen", lambda: 0)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORKS_WHEN_TOLD], stdin=pipe, stdout=pipe, text=True) as neighbour:

        def work(seconds: float) -> None:
            assert neighbour.stdin is not None
            assert neighbour.stdout is not None
            neighbour.stdin.write(f"{seconds}\n")
            neighbour.stdin.flush()
            assert neighbour.stdout.readline() == "done\n"

        work(0)  # it has started
        with closing(LostMoments(100.0, [neighbour.pid])) as lost:
            lost.look(100.1)
            assert not lost.touch(0.0, 200.0)
            work(0.05)
            lost.look(100.2)
            neighbour.communicate()
            lost.look(100.3)
        assert lost.touch(100.15, 100.16)
        assert not lost.touch(100.0, 100.05)


def test_only_processes_that_work_are_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark itself is none, nor is a process that sleeps."""
    monkeypatch.setattr(lost_moments, "_SURVEY", 0.2)
    monkeypatch.setattr(lost_moments, "_MOST_NEIGHBOURS", 1000)
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    idle = subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=-1, stdout=-1)
    try:
        assert idle.stdout is not None
        idle.stdout.readline()
        until("the busy process among the neighbours", lambda: busy.pid in lost_moments.neighbours())
        found = lost_moments.neighbours()
    finally:
        busy.kill()
        idle.kill()
        busy.communicate()
        idle.communicate()
    assert idle.pid not in found
    assert os.getpid() not in found
