"""A webhook in parts gives the same numbers as the whole, with a bad event and with a large body."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatvitals.events import AccountEvent, Message, Status, Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline import exemplars, worker
from chatvitals.pipeline.contact_batch import ContactBatch
from chatvitals.pipeline.queue_items import decode, event_count, split
from tests.helpers.single_worker import EPOCH, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.events import Event, PersonEvent
    from tests.conftest import Swallowed

NUMBER, OWN = "1001", "15550009999"
TRACE = bytes(range(25))
OTHERS = {"birth", exemplars.DOCUMENT}


def message(serial: int, wa_id: str = "15550004321", second: int = 0) -> Message:
    """Return a message that came at once."""
    at = EPOCH + second
    return Message(
        phone_number_id=NUMBER, wa_id=wa_id, received=EPOCH + 0.5, id=f"m{serial}", type="text", timestamp=at
    )


def sent(serial: int, wa_id: str = "15550004321", second: int = 0) -> Status:
    """Return the status of a reply."""
    at = EPOCH + second
    return Status(
        phone_number_id=NUMBER, wa_id=wa_id, received=EPOCH + 0.5, id=f"b{serial}", status="sent", timestamp=at
    )


def webhook(*events: Event, **more: Any) -> Webhook:
    """Return a webhook as the parser gives it."""
    given: dict[str, Any] = {"fields": {("messages", True): 1}, "numbers": {NUMBER: OWN}, "trace": TRACE, **more}
    return Webhook(result="accepted", received=EPOCH + 0.5, events=list(events), **given)


def numbers(world: World) -> dict[Any, float]:
    """Return all cells of the store but those of the pipeline's own work."""
    own = {catalogue.STORE_COMMIT_SECONDS.name}
    return {cell: value for cell, value in world.store.cells().items() if cell[0] not in own}


def contents(world: World) -> tuple[Any, ...]:
    """Return the numbers, contacts, marks and documents of a store. Any exemplar of a bucket is as good as another."""
    pieces = list(world.store.dump())
    states = {key: state for piece in pieces for key, state in piece.states.items()}
    links = {key: link for piece in pieces for key, link in piece.links.items()}
    marks = {mark: at for piece in pieces for mark, at in piece.open_since.items()}
    documents = {name: value for piece in pieces for name, value in piece.documents.items() if name not in OTHERS}
    return numbers(world), states, links, marks, documents


def played(monkeypatch: pytest.MonkeyPatch, most: int, items: Sequence[Webhook], late: float) -> World:
    """Return a worker that has committed the items so many seconds after they came."""
    monkeypatch.setattr(worker, "_MOST_EVENTS", most)
    world = World()
    for item in items:
        world.pipeline.put(webhook(*map(msgspec.structs.replace, item.events), malformed=item.malformed))
    world.clock.now = EPOCH + 0.5 + late
    assert world.pipeline.drain()
    assert world.pipeline.waiting == 0
    world.at(late + 100.0)
    world.at(late + 3 * 86_400.0)
    return world


def test_the_parts_hold_everything_once() -> None:
    """The first one has what is counted of the POST, and what is about the business."""
    account = AccountEvent(field="account_update", entry="9", time=EPOCH, value={}, received=EPOCH)
    whole = webhook(message(1), account, message(2), sent(3), malformed=4)
    first, *others = parts = split(whole, 2)
    assert [part.events for part in parts if isinstance(part, Webhook)] == [
        [account],
        [message(1), message(2)],
        [sent(3)],
    ]
    assert isinstance(first, Webhook)
    assert (first.fields, first.malformed, first.is_part) == (whole.fields, 4, False)
    for part in others:
        assert isinstance(part, Webhook)
        assert (part.fields, part.malformed, part.is_part) == ({}, 0, True)
        assert (part.numbers, part.trace, part.received) == (whole.numbers, TRACE, whole.received)


@pytest.mark.parametrize("most", [3, 4, 500])
def test_a_webhook_of_few_events_stays_whole(most: int) -> None:
    """The same object is used."""
    whole = webhook(message(1), message(2), message(3))
    assert split(whole, most) == [whole]
    assert split(whole, most)[0] is whole


def test_a_batch_ends_with_the_item_that_reaches_the_limit() -> None:
    """An item counts by its events."""
    items: list[Any] = [webhook(message(1), message(2)), message(3), message(4)]
    assert [len(decode(items, most)[0]) for most in (2, 3, 4, 5)] == [1, 2, 3, 3]
    assert [batch + later for batch, later in (decode(items, 2), decode(items, 5))] == [items, items]
    assert decode([], 1) == ([], [])


def test_62_beside_a_bad_event_the_others_keep_their_trace_and_own_numbers(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """A message of the business's own number opens no turn, and an event without a person is malformed."""
    apply = ContactBatch.apply
    seen: list[PersonEvent] = []

    def failing(batch: ContactBatch, events: Sequence[PersonEvent]) -> None:
        if any(isinstance(event, Status) for event in events):
            raise ValueError("a bad event")
        seen.extend(events)
        apply(batch, events)

    monkeypatch.setattr(ContactBatch, "apply", failing)
    world = World()
    world.clock.now = EPOCH + 0.5
    world.pipeline.put(webhook(message(1), message(2, wa_id=OWN), message(3, wa_id=""), sent(4)))
    assert world.pipeline.drain()
    world.at(60.0)
    assert [(event.id, event.own_number, event.trace) for event in seen if isinstance(event, Message)] == [
        ("m1", False, TRACE),
        ("m2", True, TRACE),
    ]
    assert world.count(catalogue.WEBHOOKS) == 1
    assert world.count(catalogue.EVENTS_DROPPED, "malformed") == 1
    assert world.count(catalogue.TURNS_OPENED) == 1
    assert world.pipeline.waiting == 0
    assert len(swallowed.take("reducer")) == 1


PEOPLE = st.sampled_from(["15550004321", "15550004322", OWN, ""])
SECONDS = st.sampled_from([0, 0, -3, -20, -400])
EVENTS = st.builds(message, st.integers(1, 5), PEOPLE, SECONDS) | st.builds(sent, st.integers(1, 3), PEOPLE, SECONDS)


@settings(deadline=None)
@given(st.lists(EVENTS, min_size=1, max_size=14), st.sampled_from([0.0, 5.0, 30.0, 4000.0]), st.integers(1, 4))
def test_65_a_webhook_in_parts_gives_what_the_whole_gives(events: list[Any], late: float, most: int) -> None:
    """Whenever the pipeline comes to it: no part is decided before the others are known."""
    with pytest.MonkeyPatch.context() as patch:
        whole, parts = (played(patch, size, [webhook(*events, malformed=2)], late) for size in (10_000, most))
    assert contents(parts) == contents(whole)


@settings(deadline=None)
@given(st.lists(st.lists(EVENTS, min_size=1, max_size=3), min_size=2, max_size=6), st.sampled_from([30.0, 4000.0]))
def test_24_events_that_waited_for_the_store_are_decided_together(groups: list[list[Any]], late: float) -> None:
    """After an outage they come in several batches, and count as in one."""
    with pytest.MonkeyPatch.context() as patch:
        items = [webhook(*events) for events in groups]
        one, several = (played(patch, size, items, late) for size in (10_000, 2))
    assert contents(several) == contents(one)


def test_65_a_webhook_of_thousands_of_items_is_committed_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine times what Meta sends at most."""
    world = World()
    sizes: list[int] = []
    commit = world.pipeline._commit_or_keep

    def counting(batch: list[Any]) -> bool:
        sizes.append(sum(map(event_count, batch)))
        return commit(batch)

    monkeypatch.setattr(world.pipeline, "_commit_or_keep", counting)
    world.clock.now = EPOCH + 0.5
    world.pipeline.put(webhook(*(message(serial, wa_id=f"1555{serial:07}") for serial in range(2_400))))
    world.pipeline.put(message(9_999))
    assert world.pipeline.drain()
    assert max(sizes) <= 501
    assert sum(sizes) == 2_402
    world.at(60.0)
    assert world.count(catalogue.TURNS_OPENED) == 2_401
    assert world.count(catalogue.WEBHOOKS) == 1
