"""Rules of conversations/README.md 2 and 5 about outbound messages that no scenario shows."""

from __future__ import annotations

import itertools

import pytest

from chatvitals.metrics import catalogue
from tests.helpers.single_worker import PHONE, World

STATUSES = catalogue.MESSAGE_STATUSES


def reached(world: World) -> dict[str, float]:
    counts = {status: world.count(STATUSES, status) for status in ("sent", "delivered", "read", "played")}
    return {status: count for status, count in counts.items() if count}


def test_statuses_that_name_nobody_still_count_once_per_message() -> None:
    """A status without any person id joins those of its message."""
    world = World()
    nobody = {"wa_id": "", "user_id": ""}
    world.status(1, "r1", "read", category="utility", **nobody)
    world.status(2, "r1", "delivered", **nobody)
    world.status(3, "r1", "delivered", **nobody)
    world.status(4, "r2", "failed", code="131026", **nobody)
    world.at(30)
    assert reached(world) == {"sent": 1, "delivered": 1, "read": 1}
    assert world.count(STATUSES, "read", "utility") == 1
    assert world.count(catalogue.DUPLICATES, "status") == 1
    assert world.count(catalogue.MESSAGE_FAILURES, "131026") == 1
    assert world.count(catalogue.TURNS_OPENED) == 0


def test_statuses_of_a_group_count_once_and_answer_nobody() -> None:
    """Each participant's copy is no duplicate, and a group message is no reply to a contact."""
    world = World()
    world.hears(0, "m1")
    for t, status in ((1.0, "sent"), (2.0, "delivered"), (3.0, "delivered"), (4.0, "read")):
        world.status(t, "g1", status, group=True)
    world.at(30)
    assert world.count(catalogue.TURNS_OPEN) == 1
    assert reached(world) == {"sent": 1, "delivered": 1, "read": 1}
    assert world.count(catalogue.DUPLICATES) == 0


def test_group_messages_are_received_and_open_no_turn() -> None:
    """They take part in no turn."""
    world = World()
    world.hears(0, "m1", group=True)
    world.at(20)
    assert world.count(catalogue.MESSAGES_RECEIVED, "text") == 1
    assert world.count(catalogue.TURNS_OPENED) == 0


@pytest.mark.parametrize("order", list(itertools.permutations(("sent", "delivered", "read"))))
def test_levels_count_once_in_any_order(order: tuple[str, ...]) -> None:
    """A higher one implies those below it, a late lower one changes nothing."""
    world = World()
    for index, status in enumerate(order):
        world.status(15 * index, "r1", status, category="service" if index == 0 else "")
    world.at(100)
    assert reached(world) == {"sent": 1, "delivered": 1, "read": 1}
    assert world.count(STATUSES, "service") == 3
    assert world.count(catalogue.DUPLICATES) == 0


def test_nothing_clears_a_failure_and_a_failure_implies_nothing() -> None:
    """A `delivered` after a `failed` is odd, and both are counted."""
    world = World()
    world.status(1, "r1", "failed", code="131049", category="marketing")
    world.status(20, "r1", "delivered")
    world.at(50)
    assert world.count(catalogue.MESSAGE_FAILURES, "131049", "marketing") == 1
    assert world.count(STATUSES, "failed", "marketing") == 1
    assert reached(world) == {"sent": 1, "delivered": 1}


def test_a_status_that_is_not_on_the_list_is_counted_as_other() -> None:
    """A new status of Meta's is neither lost nor a new label value."""
    world = World()
    world.status(1, "r1", "teleported", category="service")
    world.status(2, "r2", "failed", code="987654")
    world.at(20)
    assert world.count(STATUSES, "other") == 1
    assert world.count(catalogue.MESSAGE_FAILURES, "other") == 1


# The call's return and the statuses, in both orders


def test_a_call_that_returns_after_its_status_has_settled_changes_no_turn() -> None:
    """The turn was answered by the status. The call is counted as a send, and a failure later is late."""
    world = World()
    world.hears(0, "m1")
    world.status(3.5, "r1", "sent", ts=3)
    world.at(20)
    assert world.observed(catalogue.RESPONSE_SECONDS, "status") == (1, 3)
    world.sends(25, "r1", seconds=21.5)
    world.hears(40, "m2")
    world.at(60)
    assert world.observed(catalogue.RESPONSE_SECONDS) == (1, 3)
    assert world.count(catalogue.SENDS, "reply", "accepted") == 1
    assert world.observed(catalogue.SEND_SECONDS_FAMILY) == (1, 21.5)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.status(61, "r1", "failed", code="131000")
    assert world.count(catalogue.LATE_FAILURES) == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_richest_evidence_within_the_window_counts(order: tuple[int, ...]) -> None:
    """Api before code before echo before status, whichever comes first."""
    world = World()
    world.hears(0, "m1", ts=0)
    told = [
        lambda t: world.status(t, "r1", "sent", ts=2),
        lambda t: world.types(t, "r1", ts=2),
        lambda t: world.records(t, "r1"),
        lambda t: world.sends(t, "r1"),
    ]
    for t, index in zip((3.0, 3.1, 3.2, 3.3), order, strict=True):
        told[index](t)
    world.at(40)
    count, seconds = world.observed(catalogue.RESPONSE_SECONDS, "api", "bot")
    assert count == 1
    assert seconds == round(3.0 + order.index(3) / 10, 6)
    assert world.ended() == {"answered": 1}


@pytest.mark.parametrize("category", ["marketing", "MARKETING", "marketing_lite", "utility", "authentication"])
def test_what_only_its_status_tells_of_is_a_campaign_where_it_is_priced_as_a_template(category: str) -> None:
    """Free-form messages are priced as service or not at all. Those are replies."""
    world = World()
    world.hears(0, "m1")
    world.status(2, "c1", "sent", category=category)
    world.at(30)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.status(40, "r1", "sent", category="service")
    world.at(60)
    assert world.count(catalogue.TURNS_OPEN) == 0


@pytest.mark.parametrize("first", ["status", "call"])
def test_the_price_does_not_overrule_what_the_hooks_saw(first: str) -> None:
    """Both orders give one result, and the turn follows what `sends_total` counted."""
    world = World()
    world.hears(0, "m1")
    if first == "status":
        world.status(2, "c1", "sent", category="marketing")
        world.sends(3, "c1", "reply")
    else:
        world.sends(2, "c1", "reply")
        world.status(3, "c1", "sent", category="marketing")
    world.at(30)
    assert world.ended() == {"answered": 1}
    assert world.count(catalogue.SENDS, "reply") == 1


def test_a_call_that_becomes_known_late_still_makes_a_priced_message_a_reply() -> None:
    """A richer source comes after the window in which the price had decided."""
    world = World()
    world.hears(0, "m1")
    world.status(2, "c1", "sent", category="marketing")
    world.at(30)
    assert world.ended() == {}
    world.sends(31, "c1", "reply")
    world.at(50)
    assert world.ended() == {"answered": 1}


def test_a_marketing_status_after_the_window_takes_nothing_back() -> None:
    """A number is final when it is counted."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "c1", "reply")
    world.status(20, "c1", "delivered", category="marketing")
    world.at(40)
    assert world.ended() == {"answered": 1}
    assert world.count(STATUSES, "delivered", "marketing") == 1


def test_a_campaign_that_fails_leaves_the_turn_as_it_was() -> None:
    """It was no reply, so the turn is unanswered in the end and not failed, and no reply failed late."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "c1", "campaign")
    world.status(4, "c1", "failed", code="131049", category="marketing")
    world.status(30, "c1", "delivered")
    world.at(86_420)
    assert world.ended() == {"unanswered": 1}
    assert world.count(catalogue.LATE_FAILURES) == 0


def test_a_call_without_a_message_id_is_a_reply_all_the_same() -> None:
    """Some providers return none. Two such calls are two replies."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "")
    world.hears(20, "m2")
    world.sends(25, "")
    world.at(50)
    assert world.observed(catalogue.RESPONSE_SECONDS, "api") == (2, 2 + 5)


def test_a_reply_that_the_code_tells_of_is_timed_on_our_clock() -> None:
    """`record_reply` needs no id. A person may have been the author."""
    world = World()
    world.hears(0.5, "m1", ts=0)
    world.records(4.25)
    world.hears(20, "m2")
    world.records(22, actor="human")
    world.at(50)
    assert world.observed(catalogue.RESPONSE_SECONDS, "code", "bot") == (1, 3.75)
    assert world.observed(catalogue.RESPONSE_SECONDS, "code", "human") == (1, 2)


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke", "system"])
def test_an_echo_that_is_no_message_answers_nobody(kind: str) -> None:
    """A person's reaction in the app is no reply."""
    world = World()
    world.hears(0, "m1")
    world.types(2, "e1", kind)
    world.types(3, "e1", kind)
    world.at(20)
    assert world.count(catalogue.TURNS_OPEN) == 1
    assert world.count(catalogue.DUPLICATES, "echo") == 1


@pytest.mark.parametrize("first", ["echo", "status"])
def test_a_template_in_an_echo_is_a_campaign(first: str) -> None:
    """Another responder's marketing answers nobody, whichever comes first, and a bot's call knows better."""
    world = World()
    world.hears(0, "m1")
    if first == "status":
        world.status(1, "e1", "sent")
    world.types(2, "e1", "template", actor="unknown")
    world.status(3, "e1", "sent", category="service", ts=4)
    world.at(20)
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.types(21, "r1", "template")
    world.sends(22, "r1", template="order_ready")
    world.at(40)
    assert world.ended() == {"answered": 1}


def test_a_template_to_a_group_has_its_statuses() -> None:
    """The send and the statuses name the group. All participants' copies are one message."""
    world = World()
    world.sends(1, "c1", "campaign", template="menu", language="en", wa_id="the-group")
    for second, status in ((2, "sent"), (3, "delivered"), (4, "delivered"), (5, "read")):
        world.status(second, "c1", status, wa_id="the-group", group=True)
    world.at(20)
    counted = [world.count(catalogue.TEMPLATE_MESSAGES, "menu", name) for name in ("sent", "delivered", "read")]
    assert counted == [1, 1, 1]


# Sends and templates


def test_a_rejected_send_answers_nothing_and_is_counted_with_its_code() -> None:
    """Meta's code, an HTTP status or a transport error. What is on no list is `other`."""
    world = World()
    world.hears(0, "m1")
    for code in ("131047", "503", "timeout", "boom", ""):
        world.sends(2, "", accepted=False, code=code)
    world.at(30)
    assert world.count(catalogue.TURNS_OPEN) == 1
    rejected = {code: world.count(catalogue.SENDS, "reply", "rejected", code) for code in ("131047", "503", "timeout")}
    assert rejected == {"131047": 1, "503": 1, "timeout": 1}
    assert world.count(catalogue.SENDS, "rejected", "other") == 1
    assert world.count(catalogue.SENDS, "rejected", "unknown") == 1
    world.at(86_420)
    assert world.ended() == {"failed": 1}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_template_s_statuses_are_counted_for_it_in_any_order(order: tuple[int, ...]) -> None:
    """The read rate per template is Meta's own leading signal. `sent` may come before the call returns."""
    world = World()
    told = [
        lambda t: world.sends(t, "c1", "campaign", template="order_ready", language="en"),
        lambda t: world.status(t, "c1", "sent", category="utility"),
        lambda t: world.status(t, "c1", "read", category="utility"),
    ]
    for t, index in zip((1.0, 2.0, 3.0), order, strict=True):
        told[index](t)
    world.at(30)
    counts = {
        status: world.count(catalogue.TEMPLATE_MESSAGES, "order_ready", "en", status)
        for status in ("sent", "delivered", "read", "failed")
    }
    assert counts == {"sent": 1, "delivered": 1, "read": 1, "failed": 0}


def test_a_template_that_fails_is_counted_for_it() -> None:
    """As are those that were sent without a template: not at all."""
    world = World()
    world.sends(1, "c1", "campaign", template="hello", language="it")
    world.sends(1, "r1", "reply")
    world.status(2, "c1", "failed", code="132015", category="marketing")
    world.status(2, "r1", "failed", code="131000")
    world.at(30)
    assert world.count(catalogue.TEMPLATE_MESSAGES, "hello", "it", "failed") == 1
    assert world.count(catalogue.TEMPLATE_MESSAGES) == 1


def test_more_templates_than_a_contact_can_number_are_not_counted_for_a_wrong_one() -> None:
    """After 250 templates to one person, further ones count as messages only."""
    world = World(label_cap=1000)
    for index in range(253):
        world.sends(index, f"c{index}", "campaign", template=f"t{index}", language="en")
        world.status(index + 0.5, f"c{index}", "sent", category="utility")
    world.at(300)
    assert world.count(catalogue.TEMPLATE_MESSAGES) == 250
    assert world.count(catalogue.TEMPLATE_MESSAGES, "t0") == 1
    assert world.count(STATUSES, "sent") == 253


# Preferences


def test_a_preference_counts_once_however_often_it_is_delivered() -> None:
    """The same choice at the same second is the same choice. A later one is another."""
    world = World()
    for t in (1.0, 2.0):
        world.prefers(t, "stop", ts=1)
    world.prefers(3, "resume")
    world.prefers(4, "stop")
    world.prefers(5, "signup", "lottery")
    world.prefers(6, "perhaps")
    world.at(20)
    assert world.count(catalogue.OPT_OUTS, "marketing_messages") == 2
    assert world.count(catalogue.OPT_INS, "marketing_messages") == 1
    assert world.count(catalogue.OPT_INS, "other") == 1
    assert world.count(catalogue.DUPLICATES, "preference") == 1
    assert world.count(catalogue.EVENTS_DROPPED, "malformed") == 1
    assert world.count(catalogue.TURNS_OPENED) == 0


def test_two_people_s_equal_choices_are_two() -> None:
    """Duplicates are known per contact."""
    world = World()
    for phone in (PHONE, "15550009999"):
        world.prefers(1, "stop", wa_id=phone)
    world.at(20)
    assert world.count(catalogue.OPT_OUTS) == 2


@pytest.mark.parametrize("kind", ["reaction", "edit", "revoke", "system"])
def test_an_echo_that_is_no_message_overrules_no_call(kind: str) -> None:
    """The call was seen to send a reply, and a poorer source that comes later changes no kind."""
    world = World()
    world.hears(0, "m1")
    world.sends(2, "r1")
    world.types(3, "r1", kind)
    world.at(20)
    assert world.ended() == {"answered": 1}


def test_an_echo_from_the_future_is_taken_as_received_and_counted() -> None:
    """A phone's clock may be wrong. No negative time comes of it."""
    world = World()
    world.hears(0, "m1")
    world.types(20, "e1", ts=500)
    world.at(60)
    assert world.count(catalogue.CLOCK_SKEWS) == 1
    assert world.ended() == {"answered": 1}
