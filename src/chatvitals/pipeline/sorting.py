"""Sorting of a batch into three parts: counted at once, about the business, and about people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chatvitals.events import (
    AccountEvent,
    GraphCall,
    Handled,
    IdentityChange,
    Message,
    Poll,
    PollerState,
    Preference,
    Send,
    Webhook,
)
from chatvitals.metrics import catalogue
from chatvitals.runtime import pacing
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.events import PersonEvent
    from chatvitals.metrics.cardinality import CardinalityLimiter
    from chatvitals.metrics.measurements import Measurements
    from chatvitals.pipeline.quality_batch import QualityBatch
    from chatvitals.pipeline.queue_items import Decoded

_NEEDS_A_PERSON = frozenset({Message, Preference, IdentityChange})


def sort(
    batch: Iterable[Decoded],
    business: QualityBatch,
    labels: CardinalityLimiter,
    measures: Measurements,
    now: float,
) -> list[PersonEvent]:
    """Count events about no person, pass on events about the business, and return events about people."""
    events: list[PersonEvent] = []
    for event in batch:
        pacing.give_way()
        if type(event) is Handled:
            _count_handled(event, labels, measures, now)
        elif type(event) is Webhook:
            _count_webhook(event, measures)
            business.add_webhook(event)
            events += _person_events(event, business, measures)
        elif isinstance(event, Poll | PollerState | GraphCall):
            business.add(event)
        elif type(event) is Send and event.template:
            template = labels.limit("template", event.template)
            language = labels.limit("language", event.language)
            events.append(msgspec.structs.replace(event, template=template, language=language))
        else:
            events.append(event)  # type: ignore[arg-type]
    return events


def _count_webhook(webhook: Webhook, measures: Measurements) -> None:
    """Count a POST on the webhook path, without its events."""
    measures.count(catalogue.WEBHOOKS, (webhook.result,))
    if webhook.result != "accepted":
        return
    measures.at_least(catalogue.LAST_WEBHOOK, (), webhook.received)
    for (field, known), amount in webhook.fields.items():
        name = field if field in enums.KNOWN_FIELDS else enums.OTHER
        measures.count(catalogue.WEBHOOK_FIELDS, (name, "yes" if known else "no"), amount)
    if webhook.malformed:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",), webhook.malformed)


def _count_handled(event: Handled, labels: CardinalityLimiter, measures: Measurements, now: float) -> None:
    """Count a handler's call. Its number is empty where the handled message is not known."""
    number = labels.limit(catalogue.NUMBER, event.phone_number_id)
    handled = (number, event.handler, event.result)
    measures.observe(catalogue.HANDLER_SECONDS_FAMILY, handled, event.seconds, event.trace, now)


def _person_events(webhook: Webhook, business: QualityBatch, measures: Measurements) -> list[PersonEvent]:
    """Return the events of a webhook that are about a person. An event without a person is malformed."""
    events: list[PersonEvent] = []
    for event in webhook.events:
        if type(event) is AccountEvent:
            continue
        if type(event) in _NEEDS_A_PERSON and not event.wa_id and not event.user_id:  # type: ignore[union-attr]
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        else:
            pacing.give_way()
            if type(event) is Message and event.wa_id and business.is_own(event.wa_id):
                event.own_number = True
            if webhook.trace and type(event) is Message:
                event.trace = webhook.trace
            events.append(event)  # type: ignore[arg-type]
    return events
