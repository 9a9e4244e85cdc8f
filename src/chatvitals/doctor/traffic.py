"""Check that a bot both receives and sends, from its metrics or its store."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.metrics.conversation_families import MESSAGES_RECEIVED, RESPONSE_SECONDS, SENDS, TURNS_OPENED
from chatvitals.metrics.service_families import INTERNAL_ERRORS, LAST_WEBHOOK, WEBHOOKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.doctor.finding import Finding
    from chatvitals.exporters.scrape import Sample

_CHECK = "received and sent"
_ANSWER_SECONDS = 60.0  # the first reply may be under way


class Traffic(NamedTuple):
    """Counts since the store began."""

    accepted: float
    """Webhooks that counted."""
    refused: float
    messages: float
    turns: float
    sends: float
    replies: float
    last: float
    """Time of the last accepted webhook, in Unix seconds."""
    lost: float
    """Webhooks on paths that are not watched."""


def of(samples: Sequence[Sample]) -> Traffic:
    """Return the counts in samples of the metrics or the store."""

    def total(name: str, label: str = "", *values: str) -> float:
        found = (sample for sample in samples if sample.name == name)
        return sum(sample.value for sample in found if not values or sample.labels.get(label) in values)

    webhooks = total(WEBHOOKS.name)
    accepted = total(WEBHOOKS.name, "result", "accepted")
    return Traffic(
        accepted,
        webhooks - accepted,
        total(MESSAGES_RECEIVED.name),
        total(TURNS_OPENED.name),
        total(SENDS.name),
        total(f"{RESPONSE_SECONDS.name}_count"),
        max((sample.value for sample in samples if sample.name == LAST_WEBHOOK.name), default=0.0),
        total(INTERNAL_ERRORS.name, "where", "lost_webhook"),
    )


def traffic(samples: Sequence[Sample] | None, now: float) -> Finding:
    """Return whether a bot both receives and sends. `now` is Unix seconds."""
    if samples is None:
        return skipped(_CHECK, "neither metrics nor store can be read", "--metrics-url or --store enables this")
    told = of(samples)
    received = f"{_count(told.accepted, 'webhook')} with {_count(told.messages, 'message')} received"
    sent = f"{_count(told.sends, 'send')} seen, {_count(told.replies, 'turn')} answered"
    if told.sends and not told.accepted:
        refused = f" ({told.refused:,.0f} refused)" if told.refused else ""
        do_next = "set webhook_path to the path that WhatsApp posts to. See what the bot's log says about webhooks"
        return attention(_CHECK, f"{sent}, but no webhook has counted{refused}", do_next)
    if told.turns and not told.sends and not told.replies and now - told.last > _ANSWER_SECONDS:
        do_next = "call chatvitals.init() before the first send, or vitals.record_reply() after each reply"
        return attention(_CHECK, f"{received}, but no reply was ever seen", do_next)
    return ok(_CHECK, f"{received}, {sent}")


def _count(count: float, word: str) -> str:
    return f"{count:,.0f} {word}" if count == 1 else f"{count:,.0f} {word}s"
