"""Pauses of a background thread, with a clock of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.runtime import pacing

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.fast


class _Time:
    """A clock that only moves by hand and by sleeps. `late` adds to each sleep, as a busy thread would."""

    def __init__(self) -> None:
        self.now = 0.0
        self.late: list[float] = []
        self.sleeps = 0
        self.switches = 1

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.now += seconds + (self.late.pop(0) if self.late else 0.0)


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Time]:
    """Give the current thread a pace on a clock of the test's own."""
    clock = _Time()
    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(pacing, "_switches", lambda: clock.switches)
    monkeypatch.setattr(pacing, "_COUNTED", True)
    with pacing.paced():
        yield clock


def test_short_work_needs_no_pause(time: _Time) -> None:
    """Before forty microseconds of work, nothing sleeps."""
    time.now += 0.00003
    time.switches += 1
    pacing.give_way()
    assert time.sleeps == 0


def test_work_goes_on_while_nobody_waits(time: _Time) -> None:
    """A look at the count of switches shows that a pause would help nobody."""
    for _ in range(9):
        time.now += 0.00005
        pacing.give_way()
    assert time.sleeps == 0


def test_a_waiting_thread_gets_a_pause_soon(time: _Time) -> None:
    """Another thread has given up its core, so it may wait for the lock."""
    time.now += 0.00005
    time.switches += 1
    pacing.give_way()
    assert time.sleeps == 1
    time.now += 0.00005
    pacing.give_way()
    assert time.sleeps == 1  # it has been served


def test_every_piece_ends_with_a_pause_where_nobody_counts_switches(
    time: _Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and some sandboxes do not tell whether a thread waits."""
    monkeypatch.setattr(pacing, "_COUNTED", False)
    time.now += 0.00005
    pacing.give_way()
    assert time.sleeps == 1


def test_a_system_that_forbids_to_yield_counts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox refuses calls that it does not know."""

    def refused() -> None:
        raise PermissionError

    monkeypatch.setattr("chatvitals.runtime.pacing.os.sched_yield", refused)
    assert not pacing._are_counted()


def test_one_pause_is_enough_while_nobody_else_works(time: _Time) -> None:
    """A pause that ends in time shows that no other thread wanted the lock."""
    time.now += 0.0006
    pacing.give_way()
    assert time.sleeps == 1


def test_the_thread_sleeps_on_while_others_work(time: _Time) -> None:
    """Each late pause shows another thread at work, so a further pause follows."""
    time.now += 0.0006
    time.late = [0.0003, 0.0003]
    pacing.give_way()
    assert time.sleeps == 3


def test_a_busy_bot_does_not_keep_the_thread_from_its_work(time: _Time) -> None:
    """Pauses in a row end after two milliseconds, however busy the other threads are."""
    time.now += 0.0006
    time.late = [0.0007] * 100
    pacing.give_way()
    assert time.sleeps == 3


def test_a_thread_with_much_work_sleeps_only_once_at_a_time(time: _Time) -> None:
    """While a whole batch waits behind this one, the thread does not sleep on."""
    pacing.hurry(True)
    time.now += 0.0006
    time.late = [0.0003]
    pacing.give_way()
    assert time.sleeps == 1
    pacing.hurry(False)
    time.now += 0.0006
    time.late = [0.0003]
    pacing.give_way()
    assert time.sleeps == 3


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
    time.now += 0.0006
    time.late = [0.0015]
    pacing.give_way()
    pacing.give_way()
    assert time.sleeps == 2  # both in the first call


def test_a_loop_looks_at_the_clock_after_every_few_items(time: _Time) -> None:
    """`steps` yields all items, and gives way between groups of them only."""
    seen = []
    for item in pacing.steps(range(10), 4):
        seen.append((item, time.sleeps))
        time.now += 0.0002
    assert [item for item, _ in seen] == list(range(10))
    assert [sleeps for _, sleeps in seen] == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_threads_of_the_bot_never_pause() -> None:
    """Without a pace, `steps` returns the items themselves."""
    items = [1, 2]
    assert pacing.steps(items) is items
    pacing.give_way()
