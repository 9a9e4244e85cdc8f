"""Sweeps: each due contact is advanced, and a contact that raises an error delays no other contact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.conversations import turns
from chatvitals.metrics import catalogue
from tests.helpers.single_worker import DAY, World

if TYPE_CHECKING:
    import pytest

    from chatvitals.conversations.state import ContactState
    from tests.conftest import Swallowed

BAD = "990009999999999"


def break_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the timers of one business number's contacts raise an error."""
    fire = turns.fire_timers

    def broken(contact: ContactState, *rest: Any) -> None:
        fire(contact, *rest)
        if contact.phone_number_id == BAD:
            raise ValueError("made up")

    monkeypatch.setattr(turns, "fire_timers", broken)


def hear(world: World) -> None:
    world.hears(0, "m0", phone_number_id=BAD)
    world.hears(1, "m1")
    world.hears(2, "m2", wa_id="15550009999")
    world.at(30)


def test_a_contact_whose_timers_raise_an_error_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """The turns of the others end, and the error is counted."""
    world = World()
    hear(world)
    break_timers(monkeypatch)
    world.at(DAY + 60)
    assert world.ended() == {"unanswered": 2}
    assert world.count(catalogue.TURNS_OPEN) == 1
    world.at(DAY + 120)
    assert world.count(catalogue.INTERNAL_ERRORS, "reducer") == 1, "it is tried again at once"
    assert len(swallowed.take("reducer")) == 1


def test_a_contact_that_raised_an_error_is_tried_again_an_hour_later(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """A newer version may have mended it. Nothing of the first attempt was counted."""
    world = World()
    hear(world)
    with monkeypatch.context() as patch:
        break_timers(patch)
        world.at(DAY + 60)
    world.at(DAY + 3000)
    assert world.ended() == {"unanswered": 2}
    world.at(DAY + 60 + 3600)
    assert world.ended() == {"unanswered": 3}
    assert world.count(catalogue.TURNS_OPEN) == 0
    swallowed.take("reducer")
