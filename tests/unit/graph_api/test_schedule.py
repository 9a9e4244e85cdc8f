"""When a WABA is polled next: interval, webhooks, failures, what the API asks for, and the budget."""

from __future__ import annotations

import pytest

from chatvitals.graph_api import schedule
from chatvitals.graph_api.client import GraphError, Usage
from chatvitals.graph_api.schedule import Kept, Schedule

NOW = 1_795_392_000.0
EVERY = 300.0


def made(kept: Kept | None = None, hourly_calls: int = 100) -> Schedule:
    """Return a schedule without chance: every spread is the middle."""
    return Schedule(EVERY, hourly_calls, kept, chance=lambda: 0.5)


def polled(at: float = NOW, hourly_calls: int = 100) -> Schedule:
    """Return a schedule that has just polled."""
    one = made(hourly_calls=hourly_calls)
    one.succeeded(at, Usage(), listed=True)
    return one


def test_the_first_poll_is_due_at_once_and_the_next_after_the_interval() -> None:
    """A start asks. Then the interval counts from the beginning of the last poll."""
    assert made().due(NOW) <= NOW
    assert polled().due(NOW) == pytest.approx(NOW + EVERY)


def test_a_restart_goes_on_where_the_last_process_was() -> None:
    """What the store keeps is the schedule: no stampede after a deploy."""
    again = made(schedule.decode(schedule.encode(polled().kept)))
    assert again.due(NOW + 10) == pytest.approx(NOW + EVERY)


def test_a_webhook_about_quality_brings_the_next_poll_forward_to_seconds() -> None:
    """No webhook carries the rating, so one is the reason to ask. A second webhook right away is not another."""
    one = polled()
    one.hear(NOW + 20)
    assert one.due(NOW + 20) <= NOW + 20
    one.succeeded(NOW + 21, Usage(), listed=False)
    one.hear(NOW + 20)
    assert one.due(NOW + 22) == pytest.approx(NOW + 21 + EVERY)
    one.hear(NOW + 22)
    assert NOW + 22 < one.due(NOW + 22) <= NOW + 25


def test_templates_are_listed_hourly() -> None:
    """The list is long and changes rarely."""
    one = polled()
    assert not one.templates_due(NOW + 3599)
    assert one.templates_due(NOW + 3600)


def test_failures_in_a_row_double_the_pause_up_to_a_limit() -> None:
    """A server that is down is left alone more and more, and not for ever."""
    one = polled()
    pauses = []
    for _ in range(12):
        one.failed(NOW, GraphError("connection", "down"))
        pauses.append(one.due(NOW) - NOW)
    assert pauses[1] >= EVERY
    assert sorted(pauses) == pauses
    assert pauses[-1] == pytest.approx(EVERY)


def test_a_rate_limit_holds_back_for_as_long_as_the_api_asks() -> None:
    """80007, 4 and Retry-After are obeyed."""
    one = polled()
    one.failed(NOW, GraphError("rate_limited", "slow down", code=80_007, wait=1800.0))
    assert one.due(NOW) == pytest.approx(NOW + 1800)


def test_heavy_use_makes_polls_rarer() -> None:
    """The usage headers speak before the API refuses."""
    one = made()
    one.succeeded(NOW, Usage(percent=96.0), listed=False)
    assert one.due(NOW) == pytest.approx(NOW + 4 * EVERY)


def test_the_hourly_budget_is_hard() -> None:
    """Not one call more within an hour. Afterwards it is full again."""
    one = made(hourly_calls=3)
    assert [one.spend(NOW + i) for i in range(4)] == [True, True, True, False]
    assert one.due(NOW + 4) > NOW + 3500
    assert one.spend(NOW + 3700)


def test_a_storm_of_webhooks_leaves_the_budget_of_the_regular_polls() -> None:
    """Only what regular polls do not need is spent on hurrying."""
    one = polled(hourly_calls=30)
    for i in range(10):
        one.spend(NOW + i)
    one.hear(NOW + 20)
    assert one.due(NOW + 20) == pytest.approx(NOW + EVERY)


def test_times_from_the_future_count_for_nothing() -> None:
    """A clock that was set back must not stop the poller for days."""
    one = made(Kept(polled=NOW + 1e6, not_before=NOW + 1e6))
    assert one.due(NOW) <= NOW


def test_what_the_store_keeps_and_cannot_be_read_is_as_good_as_nothing() -> None:
    """Another version's document is no reason to fail."""
    assert schedule.decode(b"garbage").polled == 0.0
