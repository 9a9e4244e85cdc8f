"""The clock of a handover: conversations/README.md 4."""

from __future__ import annotations

from chatvitals.metrics import catalogue
from chatvitals.stores.base import mark_kind
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, World

# Handover


def test_the_first_human_reply_stops_the_clock_of_a_handover_and_a_bot_s_does_not() -> None:
    """Handover at 10, a bot's message at 20, a person's at 70."""
    world = World()
    world.hears(0, "m1")
    world.calls(10, "handover")
    world.sends(20, "r1")
    world.at(40)
    assert world.count(catalogue.HANDOVERS_OPEN) == 1
    world.sends(70, "r2", actor="human")
    world.at(90)
    assert world.observed(catalogue.HUMAN_FIRST_RESPONSE) == (1, 60)
    assert world.count(catalogue.HANDOVERS_OPEN) == 0
    world.types(100, "e1")
    world.at(120)
    assert world.observed(catalogue.HUMAN_FIRST_RESPONSE) == (1, 60)


def test_a_human_reply_before_the_handover_does_not_count_for_it() -> None:
    """The clock starts at the handover."""
    world = World()
    world.hears(0, "m1")
    world.types(5, "e1", ts=4)
    world.calls(6, "handover")
    world.at(30)
    assert world.observed(catalogue.HUMAN_FIRST_RESPONSE) == (0, 0)
    assert world.store.oldest_open() == {(mark_kind(catalogue.OLDEST_OPEN_HANDOVER.name, ("",)), NUMBER): EPOCH + 6}


def test_a_new_conversation_clears_a_handover_and_may_have_its_own() -> None:
    """Counted once per conversation, whether a person came or not."""
    world = World()
    world.hears(0, "m1")
    world.calls(10, "handover")
    world.calls(11, "handover")
    world.at(30)
    assert world.count(catalogue.HANDOVERS) == 1
    world.hears(DAY + 1, "m2")
    world.at(DAY + 20)
    assert world.count(catalogue.HANDOVERS_OPEN) == 0
    assert world.store.oldest_open() == {
        (mark_kind(catalogue.OLDEST_OPEN_TURN.name, ("first", "")), NUMBER): EPOCH + DAY + 1
    }
    world.calls(DAY + 30, "handover")
    world.at(DAY + 50)
    assert world.count(catalogue.HANDOVERS) == 2
    assert world.count(catalogue.HANDOVERS_OPEN) == 1


# Deletions


def test_a_person_s_reply_that_is_known_late_ends_no_handover_after_it() -> None:
    """The person typed it before the bot gave up."""
    world = World()
    world.hears(0, "m1")
    world.calls(40, "handover")
    world.at(60)
    world.types(65, "e1", ts=20)
    world.at(90)
    assert world.ended() == {"answered": 1}
    assert world.count(catalogue.HANDOVERS_OPEN) == 1
    assert world.observed(catalogue.HUMAN_FIRST_RESPONSE) == (0, 0)
