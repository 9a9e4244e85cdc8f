"""Preferences for categories of messages: their age, and how many categories a contact keeps."""

from __future__ import annotations

from chatvitals.conversations.preferences import _CATEGORIES_KEPT
from chatvitals.metrics import catalogue
from tests.helpers.single_worker import DAY, World


def test_a_preference_from_more_than_a_week_ago_is_stale() -> None:
    """Meta redelivers for a week, and the contact's memory of the first delivery may be gone."""
    world = World()
    world.prefers(8 * DAY, "stop", ts=0)
    world.at(8 * DAY + 20)
    assert world.count(catalogue.EVENTS_DROPPED, "stale") == 1
    assert world.count(catalogue.OPT_OUTS) == 0


def test_an_older_preference_of_the_same_category_changes_nothing() -> None:
    """Webhooks may come in any order. The latest choice of a person counts."""
    world = World()
    world.prefers(100, "resume", ts=90)
    world.at(120)
    world.prefers(130, "stop", ts=80)
    world.at(150)
    assert world.count(catalogue.OPT_OUTS) == 0
    assert world.count(catalogue.DUPLICATES, "preference") == 1


def test_the_categories_of_a_contact_are_bounded() -> None:
    """Forged categories cost a bounded state. Each choice is counted."""
    world = World()
    for index in range(_CATEGORIES_KEPT + 10):
        world.prefers(1 + index, "stop", f"category {index}")
    world.at(100)
    (contact,) = world.contacts()
    assert list(contact.preferences) == [f"category {index}" for index in range(_CATEGORIES_KEPT)]
    assert world.count(catalogue.OPT_OUTS, "other") == _CATEGORIES_KEPT + 10


def test_a_known_category_is_updated_when_no_further_category_fits() -> None:
    """The bound holds for new categories alone."""
    world = World()
    world.prefers(1, "stop")
    for index in range(_CATEGORIES_KEPT):
        world.prefers(2 + index, "stop", f"category {index}")
    world.prefers(50, "resume")
    world.at(100)
    (contact,) = world.contacts()
    assert len(contact.preferences) == _CATEGORIES_KEPT
    world.prefers(120, "stop", ts=40)  # older than the choice at 50
    world.at(150)
    assert world.count(catalogue.OPT_OUTS, "marketing_messages") == 1
    assert world.count(catalogue.OPT_INS, "marketing_messages") == 1


def test_a_preference_from_the_future_is_taken_as_received_and_counted() -> None:
    """Else a wrong clock would block every later choice of this person."""
    world = World()
    world.prefers(10, "stop", ts=9000)
    world.at(30)
    world.prefers(40, "resume")
    world.at(60)
    assert world.count(catalogue.CLOCK_SKEWS) == 1
    assert world.count(catalogue.OPT_OUTS) == 1
    assert world.count(catalogue.OPT_INS) == 1
