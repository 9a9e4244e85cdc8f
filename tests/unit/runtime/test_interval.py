"""Periodic work is due at first, and then once in each interval."""

from __future__ import annotations

import pytest

from chatvitals.runtime.interval import Interval


def test_work_is_due_at_first_and_then_once_in_each_interval() -> None:
    """The origin of the clock does not matter."""
    interval = Interval(10.0)
    runs = []
    for now in range(-25, 6):
        if interval.is_over(now):
            interval.start(now)
            runs.append(now)
    assert runs == [-25, -15, -5, 5]


@pytest.mark.parametrize("now", [100.0, 109.9])
def test_work_rests_within_the_interval(now: float) -> None:
    """The time of the start belongs to it, and the time of the end does not."""
    interval = Interval(10.0)
    interval.start(100.0)
    assert not interval.is_over(now)


@pytest.mark.parametrize("now", [99.9, 110.0])
def test_a_clock_that_was_set_back_ends_an_interval(now: float) -> None:
    """The work would otherwise rest until the clock has caught up."""
    interval = Interval(10.0)
    interval.start(100.0)
    assert interval.is_over(now)


def test_work_that_failed_is_due_again() -> None:
    """Its next attempt need not wait."""
    interval = Interval(10.0)
    interval.start(100.0)
    interval.end()
    assert interval.is_over(100.0)
