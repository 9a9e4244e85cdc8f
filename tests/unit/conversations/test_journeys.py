"""Rules of conversations/README.md 6 at their edges: several journeys at once, and late events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.metrics import catalogue
from tests.helpers.recorded_events import EPOCH, NUMBER, PHONE, STEPS, USER, ListeningVitals, item, order_of

if TYPE_CHECKING:
    from chatvitals.tracking.journeys import Journey

WHO = {"contact": PHONE, "phone_number_id": NUMBER}
REACHED = catalogue.JOURNEY_STEP_REACHED


@pytest.fixture
def vitals() -> ListeningVitals:
    """A Vitals to listen to."""
    return ListeningVitals()


@pytest.fixture
def order(vitals: ListeningVitals) -> Journey:
    """A journey that paying completes."""
    return order_of(vitals)


def test_a_handover_ends_the_runs_of_all_journeys(vitals: ListeningVitals, order: Journey) -> None:
    """A person goes on from there, wherever the contact was."""
    for journey in (order, vitals.journey("support", ["menu"])):
        journey.reach("menu", **WHO)
    vitals.handover(**WHO)
    assert vitals.total(catalogue.JOURNEY_RUNS, "handed_over") == vitals.total(catalogue.JOURNEY_RUNS) == 2


def test_a_step_that_is_known_too_late_is_a_visit_and_does_not_turn_the_run_back(
    vitals: ListeningVitals, order: Journey
) -> None:
    """A worker that could not commit in time reports a step before the current step."""
    late = ListeningVitals(vitals.store, vitals.time)
    order.reach("menu", **WHO)
    vitals.later(1.0)
    late.journey("order", STEPS, completed_by="paid").reach("item", **WHO)
    vitals.time.advance(20.0)
    order.reach("address", **WHO)
    vitals.later(11.0)
    late.settle()
    assert [late.total(REACHED, step) for step in STEPS] == [1, 1, 1, 0]
    assert late.total(catalogue.JOURNEY_RUNS_OPEN) == late.total(catalogue.JOURNEY_RUNS_OPEN, "address") == 1
    assert late.total(catalogue.CLOCK_SKEWS) == 0


def test_an_old_message_that_comes_late_is_no_activity_of_now(vitals: ListeningVitals) -> None:
    """It was written before the step, so silence is counted from the step on."""
    quick = vitals.journey("quick", ["ask"], stalled_after=60, abandoned_after=120, expires_after=600)
    vitals.time.advance(100.0)
    quick.reach("ask", **WHO)
    vitals.later(11.0)
    vitals.receive(item(at=EPOCH + 10.0))
    vitals.later(45.0)
    assert vitals.total(catalogue.JOURNEY_RUNS_STALLED, "ask") == 0  # each look lets another window pass
    assert vitals.total(catalogue.JOURNEY_RUNS_STALLED, "ask") == 1


def test_what_was_due_is_each_ones_own_when_two_turn_out_to_be_one(vitals: ListeningVitals, order: Journey) -> None:
    """A step that waited for its window is not a late step of the other run."""
    order.reach("menu", contact=USER, phone_number_id=NUMBER)
    vitals.time.advance(0.05)
    order.reach("menu", **WHO)
    vitals.time.advance(12.0)
    order.reach("menu", **WHO)
    vitals.receive(item(user=USER, at=vitals.time()))
    vitals.later(11.0)
    assert vitals.total(REACHED, "menu") == 2
    assert vitals.total(catalogue.JOURNEY_RUNS, "restarted") == vitals.total(catalogue.JOURNEY_RUNS_OPEN, "menu") == 1
    assert vitals.total(catalogue.JOURNEY_STEP_VISITS, "menu") == 3
