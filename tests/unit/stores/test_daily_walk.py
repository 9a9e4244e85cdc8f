"""The daily walk sees each key once a day, however often and from whatever time on it is asked."""

from __future__ import annotations

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.stores.daily_walk import DailyWalk

pytestmark = pytest.mark.fast

DAY = 86_400.0
NOW = 1_800_000_000.0
LEAST, GREATEST = -(2**63), 2**63 - 1


def walk_to(walk: DailyWalk, now: float) -> list[tuple[int, int]]:
    """Walk as far as the walk goes."""
    found: list[tuple[int, int]] = []
    while stretch := walk.stretch(now):
        assert len(found) < 3
        found.append(stretch)
        walk.seen(stretch[1])
    return found


def whole_round(stretches: list[tuple[int, int]]) -> bool:
    """Return whether stretches hold each key exactly once."""
    ordered = sorted(stretches)
    joined = all(before[1] + 1 == after[0] for before, after in itertools.pairwise(ordered))
    return joined and ordered[0][0] == LEAST and ordered[-1][1] == GREATEST


def test_a_new_walk_sees_all_keys_at_once() -> None:
    """A bot that runs for an hour a day forgets people as well."""
    assert whole_round(walk_to(DailyWalk(), NOW))


@given(st.lists(st.floats(0.0, DAY), max_size=30), st.floats(0.0, DAY))
def test_each_key_is_seen_once_a_day(times: list[float], start: float) -> None:
    """The moments at which the walk goes on change nothing."""
    walk = DailyWalk()
    walk_to(walk, NOW + start)
    stretches = [stretch for time in sorted(times) for stretch in walk_to(walk, NOW + start + time)]
    stretches += walk_to(walk, NOW + start + DAY)
    assert whole_round(stretches)


def test_a_stretch_may_be_seen_in_pieces() -> None:
    """A caller that looks at a few rows at a time goes on where it ended."""
    walk = DailyWalk()
    walk_to(walk, NOW)
    first, last = walk.stretch(NOW + 60) or (0, 0)
    walk.seen(first + 1000)
    assert walk.stretch(NOW + 60) == (first + 1001, last)


def test_a_clock_that_is_set_back_a_little_repeats_nothing() -> None:
    """The walk waits until the clock is there again."""
    walk = DailyWalk()
    walk_to(walk, NOW)
    assert walk.stretch(NOW - 3600) is None
    assert walk.stretch(NOW) is None


@pytest.mark.parametrize("jump", [-30 * DAY, 30 * DAY, inf])
def test_after_a_jump_of_days_a_new_round_begins(jump: float) -> None:
    """One round is enough, however far the clock jumps."""
    walk = DailyWalk()
    walk_to(walk, NOW)
    assert whole_round(walk_to(walk, NOW + jump))
