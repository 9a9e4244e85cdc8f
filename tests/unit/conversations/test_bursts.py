"""The messages that a turn keeps, and the start that they give it."""

from __future__ import annotations

from chatvitals.conversations.bursts import MESSAGES_KEPT
from chatvitals.events import Message
from chatvitals.metrics import catalogue
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, PHONE, World


def hears_many(world: World, count: int) -> None:
    """Receive so many messages within one second, before any of them settles."""
    for index in range(count):
        message = Message(phone_number_id=NUMBER, wa_id=PHONE, id=f"m{index}", type="text", timestamp=EPOCH + index)
        message.received = EPOCH + float(count)
        world.pipeline.put(message)
    world.clock.now = EPOCH + float(count)
    assert world.pipeline.drain()


def test_a_long_burst_keeps_its_first_message_and_the_latest() -> None:
    """The state of a contact that writes without end is bounded."""
    world = World()
    hears_many(world, MESSAGES_KEPT + 50)
    world.at(MESSAGES_KEPT + 100)
    (contact,) = world.contacts()
    (turn,) = contact.turns
    times = [message.at - EPOCH - 1 for message in turn.burst]
    assert times == [0, *range(51, MESSAGES_KEPT + 50)]
    assert turn.more


def test_a_long_burst_is_answered_from_its_first_message() -> None:
    """The dropped messages move no start."""
    world = World()
    hears_many(world, MESSAGES_KEPT + 50)
    world.records(MESSAGES_KEPT + 100)
    world.at(MESSAGES_KEPT + 150)
    assert world.ended() == {"answered": 1}
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, MESSAGES_KEPT + 99)


def test_a_long_burst_still_waits_when_all_kept_messages_are_deleted() -> None:
    """Nobody deleted the messages that the state no longer holds."""
    world = World()
    hears_many(world, MESSAGES_KEPT + 1)
    world.at(300)
    for index in (0, *range(2, MESSAGES_KEPT + 1)):
        world.hears(301, f"d{index}", "revoke", of=f"m{index}")
    world.at(400)
    assert world.contacts()[0].turns[0].burst == []
    assert world.count(catalogue.TURNS_OPEN) == 1


def test_failed_attempts_before_the_first_question_do_not_count_for_its_turn() -> None:
    """A closing remark asked nothing, so its turn starts anew with the question."""
    world = World()
    world.sends(1, "r0")
    world.hears(3, "thanks", closing=True)
    world.sends(7, "", accepted=False, code="131056")
    world.hears(30, "m1")
    world.at(2 * DAY)
    assert world.ended() == {"unanswered": 1}


def test_failed_attempts_after_the_first_question_count_for_its_turn() -> None:
    """This is the other side of the rule above."""
    world = World()
    world.sends(1, "r0")
    world.hears(3, "thanks", closing=True)
    world.hears(30, "m1")
    world.sends(37, "", accepted=False, code="131056")
    world.at(2 * DAY)
    assert world.ended() == {"failed": 1}


def test_a_late_message_from_before_a_resolution_moves_no_start_after_it() -> None:
    """It belongs to the conversation that was resolved."""
    world = World()
    world.hears(5, "m0")
    world.calls(100, "resolve")
    world.hears(110, "m2", ts=109)
    world.hears(140, "m1", ts=89)
    world.records(150)
    world.at(200)
    assert world.ended() == {"dismissed": 1, "answered": 1}
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 40)
