"""Pauses of a background thread, with a clock of the test's own."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals.runtime import greenlets, pacing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fast


class _Time:
    """A clock that only moves by hand, by sleeps and by yields. `late` adds to each sleep, as a busy thread would."""

    def __init__(self) -> None:
        self.now = 0.0
        self.late: list[float] = []
        self.sleeps = 0
        self.yields = 0
        self.switches = 1

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds + (self.late.pop(0) if self.late else 0.0)

    def yield_core(self) -> None:
        self.yields += 1
        self.now += 0.000001


@pytest.fixture
def several_cores(monkeypatch: pytest.MonkeyPatch) -> _Time:
    """A system with several cores, whose clock and count of switches are the test's own."""
    clock = _Time()
    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(greenlets, "time", clock)
    monkeypatch.setattr(pacing, "_switches", lambda: clock.switches)
    monkeypatch.setattr(pacing, "_yield_core", clock.yield_core)
    monkeypatch.setattr(greenlets, "has_real_threads", lambda: True)
    monkeypatch.setattr(pacing, "_has_one_core", lambda: False)
    return clock


@pytest.fixture
def time(several_cores: _Time) -> Iterator[_Time]:
    """Give the current thread a pace on such a system."""
    with pacing.paced():
        yield several_cores


def _pause_once(clock: _Time) -> None:
    """Show the pace how long a pause takes."""
    clock.now += 0.0026
    pacing.give_way()
    assert clock.sleeps == 1


def test_short_work_needs_no_pause(time: _Time) -> None:
    """Before thirty microseconds of work, nothing happens."""
    time.now += 0.00002
    time.switches += 1
    pacing.give_way()
    assert (time.yields, time.sleeps) == (0, 0)


def test_work_goes_on_while_nobody_waits(time: _Time) -> None:
    """A look at the count of switches shows that a pause would help nobody."""
    for _ in range(9):
        time.now += 0.00006
        pacing.give_way()
    assert (time.yields, time.sleeps) == (9, 0)


def test_a_thread_that_waits_on_another_core_gets_a_pause_soon(time: _Time) -> None:
    """It has given up its core, so it may wait for the lock. It wakes up too late for a yield."""
    time.now += 0.00006
    time.switches += 1
    pacing.give_way()
    assert time.sleeps == 1
    time.now += 0.00006
    pacing.give_way()
    assert time.sleeps == 1  # it has been served


def test_a_long_stretch_of_work_ends_with_a_pause(time: _Time) -> None:
    """After two milliseconds, a pause makes up for what the count does not show."""
    for _ in range(21):
        time.now += 0.0001
        pacing.give_way()
    assert time.sleeps == 1


def test_nothing_sleeps_on_a_single_core(several_cores: _Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread can be at work elsewhere, so a yield is enough."""
    monkeypatch.setattr(pacing, "_has_one_core", lambda: True)
    with pacing.paced():
        for _ in range(21):
            several_cores.now += 0.0005
            several_cores.switches += 1
            pacing.give_way()
    assert (several_cores.yields, several_cores.sleeps) == (21, 0)


def test_every_piece_ends_with_a_pause_where_nothing_else_helps(
    several_cores: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and some sandboxes do not tell whether a thread waits."""
    monkeypatch.setattr(pacing, "_yield_core", None)
    with pacing.paced():
        several_cores.now += 0.00006
        pacing.give_way()
    assert (several_cores.yields, several_cores.sleeps) == (0, 1)


def test_greenlets_go_first_after_half_a_millisecond(several_cores: _Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gevent's threads switch in sleeps only. A sleep of 0 lets all go that are ready. A timer takes longer."""
    monkeypatch.setattr(greenlets, "has_real_threads", lambda: False)
    with pacing.paced():
        for _ in range(5):
            several_cores.now += 0.0004
            pacing.give_way()
            assert (several_cores.yields, several_cores.sleeps) == (0, 0)
            start = several_cores.now = several_cores.now + 0.0002
            pacing.give_way()
            assert (several_cores.yields, several_cores.sleeps) == (0, 1)
            assert several_cores.now == start
            several_cores.sleeps = 0


def test_a_system_that_forbids_to_yield_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox refuses calls that it does not know."""

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("chatvitals.runtime.pacing.os.sched_yield", refused)
    monkeypatch.setattr("ctypes.CDLL", refused)
    assert pacing._found_yield() is None


def test_a_system_without_a_count_of_switches_gets_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A yield alone would hide threads on other cores."""
    monkeypatch.setattr(pacing, "resource", None)
    assert pacing._found_yield() is None


def test_a_sleep_that_a_busy_machine_skips_hides_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep may be over before its thread has given up the core. The bot would get pauses for ever."""
    counts = iter([7, 7, 7, 7, 7, 8])
    monkeypatch.setattr(pacing, "_switches", lambda: next(counts))
    assert pacing._found_yield() is not None


def test_a_count_that_stands_still_gets_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sandboxes have one. It would say that nobody ever waits."""
    monkeypatch.setattr(pacing, "_switches", lambda: 7)
    assert pacing._found_yield() is None


def test_the_lock_is_free_during_a_yield() -> None:
    """Otherwise a waiting thread could not go on."""
    found = pacing._found_yield()
    assert found is not None
    interval, cores = sys.getswitchinterval(), os.sched_getaffinity(0)
    turns = 0

    def other() -> None:
        nonlocal turns
        for _ in range(1000):
            turns += 1
            found()

    thread = threading.Thread(target=other)
    sys.setswitchinterval(100.0)  # no other way to lose the lock
    os.sched_setaffinity(0, {min(cores)})
    try:
        thread.start()
        for _ in range(1_000_000):
            if turns:
                break
            found()
        assert turns
    finally:
        sys.setswitchinterval(interval)
        os.sched_setaffinity(0, cores)
        thread.join()


def test_one_pause_is_enough_while_nobody_else_works(time: _Time) -> None:
    """A pause that ends in time shows that no other thread wanted the lock."""
    time.now += 0.0026
    pacing.give_way()
    assert time.sleeps == 1


def test_the_thread_sleeps_on_while_others_work(time: _Time) -> None:
    """Each late pause shows another thread at work, so a further pause follows."""
    _pause_once(time)
    time.late = [0.0003, 0.0003]
    time.now += 0.0026
    pacing.give_way()
    assert time.sleeps == 1 + 3


def test_pauses_that_are_always_long_show_no_other_thread(time: _Time) -> None:
    """In a virtual machine, each pause takes longer."""
    time.late = [0.00016, 0.0001, 0.00012]
    for _ in range(3):
        time.now += 0.0026
        pacing.give_way()
    assert time.sleeps == 3


def test_a_busy_bot_does_not_keep_the_thread_from_its_work(time: _Time) -> None:
    """Pauses in a row end after two milliseconds, however busy the other threads are."""
    _pause_once(time)
    time.now += 0.0026
    time.late = [0.0007] * 100
    pacing.give_way()
    assert time.sleeps == 1 + 3


def test_a_thread_with_much_work_sleeps_only_once_at_a_time(time: _Time) -> None:
    """While a whole batch waits behind this one, the thread does not sleep on."""
    _pause_once(time)
    pacing.hurry(True)
    time.now += 0.0026
    time.late = [0.0003]
    pacing.give_way()
    assert time.sleeps == 1 + 1
    pacing.hurry(False)
    time.now += 0.0026
    time.late = [0.0003]
    pacing.give_way()
    assert time.sleeps == 1 + 3


def test_a_thread_with_much_work_looks_less_often(time: _Time) -> None:
    """Looks and pauses cost time of their own, so there are fewer of them while a whole batch waits."""
    pacing.hurry(True)
    time.now += 0.0004
    time.switches += 1
    pacing.give_way()
    assert time.sleeps == 0
    pacing.hurry(False)
    pacing.give_way()
    assert time.sleeps == 1


def test_the_work_begins_anew_after_a_pause(time: _Time) -> None:
    """The time of the pause does not count as work."""
    time.now += 0.0026
    time.late = [0.0025]
    pacing.give_way()
    pacing.give_way()
    assert time.sleeps == 1


def test_a_loop_looks_at_the_clock_after_every_few_items(time: _Time) -> None:
    """`steps` yields all items, and gives way between groups of them only."""
    seen = []
    for item in pacing.steps(range(10), 4):
        seen.append((item, time.yields))
        time.now += 0.0002
    assert [item for item, _ in seen] == list(range(10))
    assert [yields for _, yields in seen] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_threads_of_the_bot_never_pause() -> None:
    """Without a pace, `steps` returns the items themselves."""
    items = [1, 2]
    assert pacing.steps(items) is items
    pacing.give_way()
