"""The items in the queue of a process."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from chatvitals.events import AccountEvent, GraphCall, Handled, PersonEvent, Poll, PollerState, Webhook
from chatvitals.pipeline.raw_webhook import RawWebhook

Decoded: TypeAlias = Webhook | PersonEvent | Handled | Poll | PollerState | GraphCall
Queued: TypeAlias = Decoded | RawWebhook


def decoded(event: Queued) -> Decoded:
    """Return an event in decoded form. A webhook may be decoded here for the first time."""
    return event.webhook if type(event) is RawWebhook else event  # type: ignore[return-value]


def split(event: Decoded) -> list[Decoded]:
    """Return a webhook's events one by one, after a webhook with its other counts."""
    if type(event) is not Webhook or len(event.events) < 2:
        return [event]
    whole = msgspec.structs.replace(event, events=[e for e in event.events if type(e) is AccountEvent])
    return [whole, *(e for e in event.events if type(e) is not AccountEvent)]  # type: ignore[list-item]


def event_count(event: Queued) -> int:
    """Return the number of events in a queue item. For a webhook that is not decoded, it is an estimate."""
    if type(event) is RawWebhook:
        return event.weight
    return len(event.events) or 1 if type(event) is Webhook else 1
