"""Both clocks, late webhooks and opening hours: conversations/README.md 3."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chatvitals.metrics import catalogue
from tests.helpers.single_worker import EPOCH, World


@pytest.mark.parametrize(
    ("ts", "lag", "skews"),
    [
        (None, 0.0, 1),  # missing
        (100, 0.5, 0),  # the second that ended half a second ago
        (101, 0.0, 0),
        (106, 0.0, 0),  # within 5 s
        (107, 0.0, 1),  # beyond
        ((EPOCH + 100) * 1000 - EPOCH, 0.0, 1),  # milliseconds
        (70, 30.5, 0),
    ],
)
def test_a_message_is_dated_by_the_earlier_of_both_clocks(ts: int | None, lag: float, skews: int) -> None:
    """Received at 101.5: `at` is the end of WhatsApp's second, at most the receipt. What cannot be counts as a skew."""
    world = World()
    world.hears(101.5, "m1", ts=ts)
    world.sends(103, "r1")
    world.at(120)
    assert world.observed(catalogue.WEBHOOK_LAG) == (1, lag)
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 1.5 + lag)
    assert world.count(catalogue.CLOCK_SKEWS) == skews


@pytest.mark.parametrize(("age", "stale"), [(7 * 86_400, False), (7 * 86_400 + 1, True), (3 * 365 * 86_400, True)])
def test_a_message_older_than_seven_days_opens_no_turn(age: int, stale: bool) -> None:  # noqa: FBT001 - a table's column
    """The dashboard's test message is years old."""
    world = World()
    world.hears(0, "m1", ts=-age)
    world.at(20)
    assert world.count(catalogue.EVENTS_DROPPED, "stale") == stale
    assert world.count(catalogue.MESSAGES_RECEIVED) == (not stale)
    assert world.count(catalogue.TURNS_OPENED) == (not stale)
    world.hears(30, "m1", ts=-age)
    assert world.count(catalogue.EVENTS_DROPPED, "stale") == 1 + stale


def test_a_reply_known_by_its_status_is_timed_in_whatsapp_s_seconds_and_never_below_0() -> None:
    """A `sent` of the second before the message's own is clamped, and counted as a skew."""
    world = World()
    world.hears(10.0, "m1", ts=10)
    world.status(10.5, "r1", "sent", ts=9)
    world.hears(60.2, "m2", ts=58)
    world.status(63.5, "r2", "sent", ts=62)
    world.at(100)
    assert world.observed(catalogue.RESPONSE_SECONDS, "status", "unknown") == (2, 0 + 4)
    assert world.count(catalogue.CLOCK_SKEWS) == 1


def test_our_clock_may_step_back() -> None:
    """Nothing negative is observed, and the turn is answered all the same."""
    world = World()
    world.hears(100, "m1")
    world.sends(97, "r0")
    world.sends(101, "r1")
    world.at(130)
    assert world.ended() == {"answered": 1}
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 1)


HOURS: dict[str, Any] = {
    "timezone": "Europe/Rome",
    "days": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri")},
}


def test_opening_hours_follow_the_change_of_clocks() -> None:
    """07:30 UTC is before opening on the Friday before summer time begins, and within hours on the Monday after."""
    world = World(in_hours=HOURS)
    for day, hours in ((26, "no"), (29, "yes")):
        t = datetime(2027, 3, day, 7, 30, tzinfo=UTC).timestamp() - EPOCH
        world.hears(t, f"m{day}")
        world.sends(t + 3, f"r{day}")
        world.at(t + 30)
        assert world.count(catalogue.TURNS, "answered", hours) == 1
        assert world.observed(catalogue.RESPONSE_SECONDS, hours) == (1, 3)
    assert world.count(catalogue.TURNS) == 2
