"""A poll of a clock that was ahead does not hide the polls after it."""

from __future__ import annotations

import pytest

from chatvitals.events import Poll
from chatvitals.metrics import catalogue
from chatvitals.quality import clock_corrections, state
from tests.helpers.single_worker import DAY, EPOCH, NUMBER, World

pytestmark = pytest.mark.fast


def poll(world: World, t: float, rating: str) -> state.Quality:
    """Poll at `t`, and return what is known then."""
    world.clock.now = EPOCH + t
    row: dict[str, object] = {"id": NUMBER, "quality_rating": rating, "status": "CONNECTED"}
    template: dict[str, object] = {"name": "hello", "language": "en", "status": "APPROVED"}
    world.pipeline.put(Poll(waba_id="9", received=world.clock.now, numbers=[row], templates=[template]))
    assert world.pipeline.drain()
    return state.decode(world.store.document(state.DOCUMENT))


def test_36_a_rating_changes_after_a_clock_that_was_days_ahead() -> None:
    """It would have stayed GREEN for ten days, and nothing would have shown that it was old."""
    world = World()
    poll(world, 10 * DAY, "GREEN")
    known = poll(world, 100, "RED")
    assert (known.numbers[NUMBER].rating, known.numbers[NUMBER].rated) == ("RED", EPOCH + 100)
    assert known.polled == EPOCH + 100
    assert known.accounts["9"].listed == EPOCH + 100
    assert [template.status.at for template in known.templates.values()] == [EPOCH + 100]
    assert world.count(catalogue.CLOCK_SKEWS) == 1


def test_an_older_poll_of_another_worker_still_changes_nothing() -> None:
    """It waited in a queue for some minutes."""
    world = World()
    poll(world, 1000, "GREEN")
    assert poll(world, 400, "RED").numbers[NUMBER].rating == "GREEN"
    assert world.count(catalogue.CLOCK_SKEWS) == 0


def test_a_webhook_that_waits_for_its_number_is_pulled_back() -> None:
    """Otherwise it would count as newer than all that is known of the number later."""
    known = state.Quality(polled=10 * DAY, waiting=[state.Waiting("15550001111", "FLAGGED", 9 * DAY, 10 * DAY)])
    assert clock_corrections.pull_back(known, 100.0)
    assert [(each.at, each.received) for each in known.waiting] == [(100.0, 100.0)]
    assert not clock_corrections.pull_back(known, 100.0)
