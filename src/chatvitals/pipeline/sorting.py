"""Sorting of a batch into three parts: counted at once, about the business, and about people."""

from __future__ import annotations

from collections import defaultdict
from math import inf
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

_ITEMS_AT_ONCE = 16  # between two looks at the clock; an item costs a few microseconds
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
    webhooks = _WebhookCounts()
    for event in pacing.steps(batch, _ITEMS_AT_ONCE):
        if type(event) is Webhook:
            if not event.is_part:
                webhooks.add(event)
            _sort_webhook(event, events, business, measures)
        elif type(event) is Handled:
            _count_handled(event, labels, measures, now)
        elif isinstance(event, Poll | PollerState | GraphCall):
            business.add(event)
        elif type(event) is Send and event.template:
            template = labels.limit("template", event.template)
            language = labels.limit("language", event.language)
            events.append(msgspec.structs.replace(event, template=template, language=language))
        else:
            events.append(event)  # type: ignore[arg-type]
    webhooks.count(measures)
    return events


def _sort_webhook(webhook: Webhook, events: list[PersonEvent], business: QualityBatch, measures: Measurements) -> None:
    """Add a webhook's events about people to `events`. An event that lacks its person is malformed."""
    if webhook.result == "accepted":
        business.name_numbers(webhook)
    for event in pacing.steps(webhook.events, _ITEMS_AT_ONCE):
        if isinstance(event, AccountEvent):
            business.add_account_event(event)
        elif _is_about_a_person(event):
            if type(event) is Message:
                _complete(event, webhook, business)
            events.append(event)
        else:
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))


def _is_about_a_person(event: PersonEvent) -> bool:
    return bool(event.wa_id or event.user_id) or type(event) not in _NEEDS_A_PERSON


def _complete(message: Message, webhook: Webhook, business: QualityBatch) -> None:
    """Add facts to a message that its body does not show."""
    if message.wa_id and business.is_own(message.wa_id):
        message.own_number = True
    if webhook.trace:
        message.trace = webhook.trace


class _WebhookCounts:
    """The POSTs on the webhook path in a batch, without their events."""

    __slots__ = ("_fields", "_latest", "_malformed", "_results")

    def __init__(self) -> None:
        self._results: defaultdict[str, int] = defaultdict(int)
        self._fields: defaultdict[tuple[str, bool], int] = defaultdict(int)
        self._malformed = 0
        self._latest = -inf

    def add(self, webhook: Webhook) -> None:
        self._results[webhook.result] += 1
        if webhook.result == "accepted":
            if webhook.received > self._latest:  # noqa: PLR1730 - `max` is a call, and this is hot
                self._latest = webhook.received
            self._malformed += webhook.malformed
            for field, amount in webhook.fields.items():
                self._fields[field] += amount

    def count(self, measures: Measurements) -> None:
        for result, amount in self._results.items():
            measures.count(catalogue.WEBHOOKS, (result,), amount)
        if self._latest > -inf:
            measures.at_least(catalogue.LAST_WEBHOOK, (), self._latest)
        for (field, known), amount in self._fields.items():
            name = field if field in enums.KNOWN_FIELDS else enums.OTHER
            measures.count(catalogue.WEBHOOK_FIELDS, (name, "yes" if known else "no"), amount)
        if self._malformed:
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",), self._malformed)


def _count_handled(event: Handled, labels: CardinalityLimiter, measures: Measurements, now: float) -> None:
    """Count a handler's call. Its number is empty where the handled message is not known."""
    number = labels.limit(catalogue.NUMBER, event.phone_number_id)
    handled = (number, event.handler, event.result)
    measures.observe(catalogue.HANDLER_SECONDS_FAMILY, handled, event.seconds, event.trace, now)
