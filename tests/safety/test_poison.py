"""Cases 30 and 31 of tests/safety/README.md: an event that our rules choke on costs only itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.conversations.intake import apply_event
from chatvitals.events import Message, Webhook
from chatvitals.metrics import catalogue
from chatvitals.stores.memory import MemoryStore
from tests.helpers.numbered_messages import message
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, World

if TYPE_CHECKING:
    from chatvitals.events import PersonEvent
    from tests.conftest import Swallowed

RECEIVED = catalogue.MESSAGES_RECEIVED


POISON = "wamid.poison"


def _poisoned(contact: Any, event: PersonEvent, *rest: Any) -> None:
    if getattr(event, "id", "") == POISON:
        contact.pending.append("nonsense")
        raise KeyError(POISON)
    apply_event(contact, event, *rest)


@pytest.mark.parametrize("after_the_poison", [0, 5])
def test_an_event_that_our_rules_choke_on_costs_only_itself(
    swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch, after_the_poison: int
) -> None:
    """The others of its batch are counted, its contact stays as it was, and the error is counted."""
    monkeypatch.setattr("chatvitals.pipeline.contact_batch.apply_event", _poisoned)
    world = World()
    events = [
        message(0),
        message(1),
        Message(phone_number_id=NUMBER, wa_id=PHONE, id=POISON, type="text", received=EPOCH),
    ]
    events += [message(10 + index) for index in range(after_the_poison)]
    for event in events:
        world.pipeline.put(event)
    assert world.pipeline.drain()
    world.at(20)
    assert world.count(RECEIVED) == 2 + after_the_poison
    assert world.count(catalogue.TURNS_OPENED) == 2 + after_the_poison
    assert world.count(catalogue.INTERNAL_ERRORS, "reducer") >= 1
    assert swallowed.take("reducer")


def test_one_poisonous_item_of_a_webhook_does_not_cost_the_others(
    swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A POST may hold a thousand updates of many people."""
    monkeypatch.setattr("chatvitals.pipeline.contact_batch.apply_event", _poisoned)
    world = World()
    bad = Message(phone_number_id=NUMBER, wa_id=PHONE, id=POISON, type="text", received=EPOCH)
    world.pipeline.put(Webhook(result="accepted", received=EPOCH, events=[message(1), bad, message(2)]))
    assert world.pipeline.drain()
    world.at(20)
    swallowed.take("reducer")
    assert world.count(catalogue.WEBHOOKS, "accepted") == 1
    assert world.count(RECEIVED) == 2


def test_a_state_that_cannot_be_read_does_not_hold_up_the_others(swallowed: Swallowed) -> None:
    """A damaged row costs its own contact: timers of all others strike, and a scrape raises nothing."""
    world = World()
    world.hears(0, "m1")
    assert isinstance(world.store, MemoryStore)
    other = World(world.store)
    other.hears(1, "m2", wa_id="15550009999")
    victim = next(iter(world.store._rows))
    world.store._rows[victim] = b"garbage"
    world.clock.now = EPOCH + 100
    assert world.pipeline.sweep()
    assert world.count(catalogue.TURNS_OVERDUE, "60") == 1
    assert world.count(catalogue.INTERNAL_ERRORS) >= 1
    swallowed.errors.clear()
