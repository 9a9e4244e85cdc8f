"""Rules of conversations/README.md 2 to 5 about turns and conversations that no scenario shows."""

from __future__ import annotations

import pytest

from chatvitals.conversations import message_log
from chatvitals.conversations.state import Kind
from chatvitals.events import Call
from chatvitals.metrics import catalogue
from chatvitals.stores.base import mark_kind
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, PHONE, USER, World


def test_a_reply_keeps_its_own_window_when_something_earlier_falls_due_first() -> None:
    """The message is applied at 10. The reply waits until 19, so its failure at 18 is still in time."""
    world = World()
    world.hears(0, "m1")
    world.sends(9, "r1")
    world.at(12)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.status(18, "r1", "failed", code="131000")
    world.at(100)
    assert world.ended() == {}
    assert world.count(catalogue.LATE_FAILURES) == 0
    assert world.count(catalogue.TURNS_OVERDUE, "60") == 1


def test_a_failure_after_the_reply_s_own_window_is_late_whatever_else_waits() -> None:
    """A message that came at 18 holds the reply of 5 up no longer than its own window."""
    world = World()
    world.hears(0, "m1")
    world.sends(5, "r1")
    world.hears(14.5, "m2")
    world.status(15.5, "r1", "failed", code="131000")
    world.at(30)
    assert world.ended() == {"answered": 1}
    assert world.count(catalogue.LATE_FAILURES) == 1
    assert world.count(catalogue.TURNS_OPEN) == 1


def test_a_reply_after_a_failed_one_answers_the_turn_from_its_start() -> None:
    """The turn stayed open with its start."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "r1")
    world.status(3, "r1", "failed", code="131000")
    world.sends(40, "r2")
    world.at(60)
    assert world.ended() == {"answered": 1}
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 40)


def test_two_contacts_that_become_one_keep_both_turns_open_and_one_reply_answers_both() -> None:
    """The two contacts of a person, by phone and by user id, become one once a message shows both ids."""
    world = World()
    world.hears(0, "m1")
    world.hears(1, "m2", wa_id="", user_id=USER)
    world.at(20)
    assert world.count(catalogue.TURNS_OPEN) == 2
    world.hears(30, "m3", user_id=USER)
    world.at(41)
    assert world.count(catalogue.TURNS_OPEN) == 2
    assert len(world.contacts()) == 1
    world.sends(50, "r1")
    world.at(70)
    assert world.ended() == {"answered": 2}
    assert world.observed(catalogue.RESPONSE_SECONDS, "api") == (2, 50 + 49)
    assert world.store.oldest_open() == {}


def test_the_oldest_open_turn_is_known_across_a_merge() -> None:
    """The mark of the contact that vanishes goes with it, that of the one that stays is the earlier start."""
    world = World()
    world.hears(0, "m1")
    world.hears(5, "m2", wa_id="", user_id=USER)
    world.at(20)
    world.hears(30, "m3", user_id=USER)
    world.at(50)
    assert world.store.oldest_open() == {(mark_kind(catalogue.OLDEST_OPEN_TURN.name, ("first", "")), NUMBER): EPOCH}


# Conversations and forgetting


@pytest.mark.parametrize(
    ("silence", "origin"), [(DAY - 1, None), (DAY, "returning"), (8 * DAY - 1, "returning"), (8 * DAY, "new")]
)
def test_a_conversation_begins_after_a_day_and_is_new_after_eight(silence: float, origin: str | None) -> None:
    """Exactly 24 h is another conversation, exactly 8 days a new customer."""
    world = World()
    world.hears(0, "m1")
    world.sends(1, "r1")
    world.hears(silence, "m2")
    world.at(silence + 20)
    assert world.count(catalogue.CONVERSATIONS_STARTED) == (1 if origin is None else 2)
    assert world.count(catalogue.CONVERSATIONS_STARTED, "new") == (2 if origin == "new" else 1)
    assert world.count(catalogue.TURNS_OPENED, "next") == (1 if origin is None else 0)


def test_a_silent_contact_is_forgotten_after_eight_days_with_all_its_keys() -> None:
    """What is not needed any more is not kept: no state, no alias, no mark."""
    world = World()
    world.hears(0, "m1", user_id=USER)
    world.at(2 * DAY)
    assert len(world.store._rows) == 2  # type: ignore[attr-defined]
    world.at(8 * DAY + 2 * 3600)
    assert world.store._rows == {}  # type: ignore[attr-defined]
    assert world.ended() == {"unanswered": 1}


def test_a_contact_that_waits_for_a_person_is_forgotten_after_ninety_days() -> None:
    """Silence ends no handover: a person still has to answer."""
    world = World()
    world.hears(0, "m1", user_id=USER)
    world.calls(1, "handover")
    world.at(60 * DAY)
    assert world.count(catalogue.HANDOVERS_OPEN) == 1
    world.at(90 * DAY + 2 * 3600)
    assert world.store._rows == {}  # type: ignore[attr-defined]
    assert world.store.oldest_open() == {}
    assert world.count(catalogue.HANDOVERS_OPEN) == 0


def test_a_contact_that_only_gets_messages_is_forgotten_too() -> None:
    """A campaign leaves no state behind for ever."""
    world = World()
    world.sends(0, "c1", "campaign")
    world.status(2, "c1", "sent")
    world.at(8 * DAY + 2 * 3600)
    assert world.store._rows == {}  # type: ignore[attr-defined]


def test_a_deadline_shorter_than_a_day_ends_the_turn_and_not_the_conversation() -> None:
    """It counts from the last message. A reply after it answers nothing, a message after it opens the next turn."""
    world = World(unanswered_after=300, overdue_after=[60, 300])
    world.hears(0, "m1")
    world.hears(100, "m2")
    world.at(409)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.at(410)
    assert world.ended() == {"unanswered": 1}
    assert world.observed(catalogue.WAIT_SECONDS) == (1, 400)
    assert world.endless(catalogue.WAIT_SECONDS) == 1
    assert world.count(catalogue.TURNS_OVERDUE, "300") == 1
    world.sends(450, "r1")
    world.hears(500, "m3")
    world.at(520)
    assert world.observed(catalogue.RESPONSE_SECONDS) == (0, 0)
    assert world.count(catalogue.TURNS_OPENED, "first") == 1
    assert world.count(catalogue.TURNS_OPENED, "next") == 1
    assert world.count(catalogue.CONVERSATIONS_STARTED) == 1


def test_a_turn_ends_a_day_after_its_last_message_however_the_next_one_comes() -> None:
    """A burst that goes on past a day is one turn. Silence of a day ends it."""
    world = World()
    for hours in (0, 20, 40):
        world.hears(hours * 3600, f"m{hours}")
    world.at(40 * 3600 + DAY + 10)
    assert world.ended() == {"unanswered": 1}
    assert world.observed(catalogue.WAIT_SECONDS) == (1, 40 * 3600 + DAY)
    assert world.count(catalogue.CONVERSATIONS_STARTED) == 1


# Deletions


def test_deleting_every_message_of_a_turn_dismisses_it_and_not_before() -> None:
    """As long as one message is not deleted, the customer waits."""
    world = World()
    for index in range(3):
        world.hears(index, f"m{index}")
    for index in range(3):
        world.at(20 + 20 * index)
        assert world.count(catalogue.TURNS_OPEN) == 1
        world.hears(21 + 20 * index, f"d{index}", "revoke", of=f"m{index}")
    world.at(80)
    assert world.ended() == {"dismissed": 1}


def test_a_turn_of_more_messages_than_are_kept_is_not_dismissed_by_deletions() -> None:
    """Where not all of its messages are remembered, some may still stand."""
    world = World()
    for index in range(18):
        world.hears(index, f"m{index}")
    for index in range(17):
        world.hears(30 + index, f"d{index}", "revoke", of=f"m{index}")
    world.at(70)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.sends(80, "r1")
    world.at(100)
    assert world.ended() == {"answered": 1}


def test_deleting_a_message_of_an_ended_turn_or_of_nobody_changes_nothing() -> None:
    """An outcome is final."""
    world = World()
    world.hears(0, "m1")
    world.sends(1, "r1")
    world.hears(20, "d1", "revoke", of="m1")
    world.hears(21, "d2", "revoke", of="never-seen")
    world.hears(22, "d3", "revoke")
    world.at(50)
    assert world.ended() == {"answered": 1}


def test_fallback_and_calls_about_nobody_are_harmless() -> None:
    """Calls where there is no turn are told apart from those that do something."""
    world = World()
    for name in ("fallback", "dismiss", "resolve"):
        world.calls(0, name)
    world.at(20)
    assert world.count(catalogue.FALLBACKS) == 0
    assert world.count(catalogue.EVENTS_DROPPED, "no_turn") == 1
    assert world.ended() == {}


def test_a_resolution_that_becomes_known_late_leaves_the_conversation_that_has_gone_on() -> None:
    """A worker that could not commit in time reports a `resolve()` from before the latest message."""
    world = World()
    world.hears(5, "m1")
    world.hears(20, "m2")
    world.at(40)
    late = Call(phone_number_id=NUMBER, wa_id=PHONE, name="resolve")
    late.received = EPOCH + 10.0
    world.clock.now = EPOCH + 45.0
    world.pipeline.put(late)
    assert world.pipeline.drain()
    world.at(60)
    world.hears(70, "m3")
    world.at(90)
    assert world.ended() == {"dismissed": 1}
    assert world.count(catalogue.CONVERSATIONS_STARTED) == 1
    assert world.count(catalogue.TURNS_OPEN, "next") == 1


def test_a_reply_of_which_no_record_is_left_still_answers() -> None:
    """A contact keeps 512 records. The evidence of an older reply waits beside them."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "r1")
    for index in range(message_log.REMEMBER_ENTRIES):
        world.sends(3, f"c{index}", "campaign")
    (contact,) = world.contacts()
    assert any(item.kind == Kind.REPLY for item in contact.pending)
    world.at(60)
    assert world.ended() == {"answered": 1}
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 2)


def test_a_turn_ends_at_its_deadline_when_the_next_conversation_begins_at_that_second() -> None:
    """A turn never crosses the boundary of a conversation, and here no timer has fired before it."""
    world = World()
    world.hears(1.0, "m1", ts=0)
    world.hears(DAY + 1.0, "m2", ts=int(DAY))
    world.at(DAY + 60)
    assert world.ended() == {"unanswered": 1}
    assert world.endless(catalogue.WAIT_SECONDS) == 1
    assert world.count(catalogue.CONVERSATIONS_STARTED, "new") == 1
    assert world.count(catalogue.CONVERSATIONS_STARTED, "returning") == 1
    assert world.count(catalogue.TURNS_OPEN, "first") == 1


def test_a_refused_campaign_is_no_failed_answer() -> None:
    """The customer did not wait for it."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "", "campaign", accepted=False, code="131049")
    world.at(2 * DAY)
    assert world.ended() == {"unanswered": 1}
    assert world.count(catalogue.SENDS, "campaign", "rejected") == 1
