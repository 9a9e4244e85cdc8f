"""The items in the queue of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from chatvitals.events import AccountEvent, GraphCall, Handled, PersonEvent, Poll, PollerState, Webhook
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.runtime import pacing

if TYPE_CHECKING:
    from collections.abc import Iterable

Decoded: TypeAlias = Webhook | PersonEvent | Handled | Poll | PollerState | GraphCall
Queued: TypeAlias = Decoded | RawWebhook


def decoded(event: Queued) -> Decoded:
    """Return an event in decoded form. A webhook may be decoded here for the first time."""
    return event.webhook if type(event) is RawWebhook else event  # type: ignore[return-value]


def split(event: Decoded, most: int) -> list[Decoded]:
    """Return a webhook in parts with at most `most` events about people each. Other items stay whole.

    The first part has the counts of the webhook and its events about the business. All parts have its trace and its
    business numbers.
    """
    if type(event) is not Webhook or len(event.events) <= most:
        return [event]
    people = [each for each in event.events if type(each) is not AccountEvent]
    first = msgspec.structs.replace(event, events=[each for each in event.events if type(each) is AccountEvent])
    part = msgspec.structs.replace(event, events=[], fields={}, malformed=0, is_part=True)
    starts = range(0, len(people), most)
    return [first, *(msgspec.structs.replace(part, events=people[start : start + most]) for start in starts)]


def decode(items: Iterable[Queued], most: int) -> tuple[list[Decoded], list[Decoded]]:
    """Return the items of one batch in decoded form, and those for later batches.

    A webhook with more than `most` events about people is split. A batch ends with the item that reaches `most`.
    """
    batch: list[Decoded] = []
    later: list[Decoded] = []
    size = 0
    for item in pacing.steps(items):
        for part in split(decoded(item), most):
            (batch if size < most else later).append(part)
            size += event_count(part)
    return batch, later


def event_count(event: Queued) -> int:
    """Return the number of events in a queue item. For a webhook that is not decoded, it is an estimate."""
    if type(event) is RawWebhook:
        return event.weight
    return len(event.events) or 1 if type(event) is Webhook else 1
