"""A clock that was ahead for a while, and is right again: what comes after it counts as ever."""

from __future__ import annotations

import pytest

from chatvitals.conversations import clock_corrections
from chatvitals.conversations.state import ContactState, Run, Turn
from chatvitals.events import Message
from chatvitals.metrics import catalogue
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, PHONE, World

pytestmark = pytest.mark.fast


def test_36_a_customer_who_was_answered_by_a_clock_that_was_ahead_is_heard_again() -> None:
    """The reply lay five hours ahead. All messages before it would have opened no turn."""
    world = World()
    world.hears(18_000, "m1", ts=0)
    world.sends(18_001, "r1")
    world.at(18_030)
    world.hears(100, "m2", ts=100)
    world.sends(104, "r2")
    world.at(200)
    assert world.ended() == {"answered": 2}
    assert world.count(catalogue.TURNS_OPEN) == 0
    assert world.count(catalogue.CLOCK_SKEWS) == 1


def test_36_what_waits_for_a_time_that_was_wrong_is_applied_with_the_next_event() -> None:
    """It would have waited for two days."""
    world = World()
    world.hears(2 * DAY, "m1", ts=0)
    world.hears(100, "m2", ts=100)
    world.at(200)
    assert world.count(catalogue.TURNS_OPENED) == 1
    world.sends(204, "r1")
    world.at(300)
    assert world.ended() == {"answered": 1}


def test_36_a_queue_that_waited_for_hours_is_no_wrong_clock() -> None:
    """The store was away, so an old message comes after newer ones that another worker has committed."""
    world = World()
    world.hears(30_000, "m1")
    world.sends(30_004, "r1")
    world.hears(30_020, "m2")
    late = Message(
        phone_number_id=NUMBER, wa_id=PHONE, id="m0", type="text", received=EPOCH + 100.0, timestamp=EPOCH + 100
    )
    world.pipeline.put(late)
    assert world.pipeline.drain()
    world.sends(30_030, "r2")
    world.at(30_100)
    assert world.count(catalogue.CLOCK_SKEWS) == 0
    assert world.ended() == {"answered": 2}


def test_all_times_of_a_contact_are_pulled_back() -> None:
    """Also those of journeys, handovers and ended turns."""
    run = Run("order", "menu", 5e6, 6e6, 7e6, 1.0, 2.0, 3.0)
    contact = ContactState(
        "1", last_received_at=5e6, resolved_at=5e6, handovers=(4e6,), turns=[Turn(5e6, 0, 6e6, 0, 0)], runs=(run,)
    )
    clock_corrections.pull_back(contact, 1060.0)
    assert (contact.last_received_at, contact.resolved_at, contact.handovers) == (1000.0, 1000.0, (1000.0,))
    assert (contact.turns[0].start, contact.turns[0].last) == (1000.0, 1000.0)
    assert (run.started, run.entered, run.active) == (1000.0, 1000.0, 1000.0)
