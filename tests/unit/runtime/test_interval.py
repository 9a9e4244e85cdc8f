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


@pytest.mark.parametrize(("now", "due"), [(109.9, False), (110.0, True), (100.0, False), (99.9, True)])
def test_a_clock_that_was_set_back_ends_an_interval(now: float, due: bool) -> None:
    """The work would otherwise rest until the clock has caught up."""
    interval = Interval(10.0)
    interval.start(100.0)
    assert interval.is_over(now) is due


def test_work_that_failed_is_due_again() -> None:
    """Its next attempt need not wait."""
    interval = Interval(10.0)
    interval.start(100.0)
    interval.end()
    assert interval.is_over(100.0)
