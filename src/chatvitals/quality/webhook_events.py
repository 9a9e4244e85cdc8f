"""Rules for webhooks about the business, its numbers and its templates.

Polls decide a number's rating, and webhooks are events (conversations/README.md 8). All functions here change a
`Quality` in place and count into `Measurements`. The time of an event decides, not the time of its arrival.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from chatvitals.conversations import message_log, timestamps
from chatvitals.events import AccountEvent, Poll
from chatvitals.metrics import catalogue
from chatvitals.quality import account_events, messaging_limits, polls
from chatvitals.quality.state import Quality, Template, Waiting
from chatvitals.whatsapp import enums, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeAlias

    from chatvitals.conversations.identity import Hasher
    from chatvitals.events import BusinessEvent
    from chatvitals.metrics.measurements import Measurements

    Admit: TypeAlias = Callable[[str, str], str]

_EVENTS_KEPT: Final = 4096
_MOST_WAITING: Final = 256
_LIMIT_EVENTS: Final = frozenset({"FLAGGED", "UNFLAGGED", "UPGRADE", "DOWNGRADE"})
_THROUGHPUT: Final = "TIER_UNLIMITED"  # in these webhooks it means higher throughput (whatsapp/README.md 0.4)


def apply_event(quality: Quality, event: BusinessEvent, admit: Admit, hasher: Hasher, measures: Measurements) -> bool:
    """Apply one event to the state of the business. Return False for a webhook that counts as a copy or as dropped.

    Args:
        quality: the state to change.
        event: a webhook's change, a poll, or the poller's configuration.
        admit: function that returns the label value for a label and a value (`CardinalityLimiter.limit`).
        hasher: computes the key that identifies copies of a webhook.
        measures: receives the counts.

    """
    match event:
        case AccountEvent():
            return _webhook(quality, event, admit, hasher, measures)
        case Poll():
            polls.apply_poll(quality, event, admit, measures)
            quality.place()
            release(quality, event.received, measures)
        case _:  # the poller's state
            quality.polled = max(quality.polled, event.last_success)
            if event.received >= quality.interval_told:
                quality.interval, quality.interval_told = event.interval, event.received
    return True


def name_number(quality: Quality, number_id: str, display: str, received: float, admit: Admit) -> None:
    """Record a number's display number from a webhook's metadata. Numbers beyond the label's cap are ignored."""
    if admit(catalogue.NUMBER, number_id) != number_id:
        return
    polls.name(quality, number_id, display, received)


def release(quality: Quality, now: float, measures: Measurements) -> None:
    """Apply webhooks whose number is now named. Drop webhooks that are older than Meta's retries."""
    waiting, quality.waiting = quality.waiting, []
    for item in sorted(waiting, key=lambda item: item.at):
        number_id = quality.number_of(item.display)
        if number_id is not None:
            _apply(quality, number_id, item, measures)
        elif now - item.received > timestamps.STALE_AFTER:
            measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        else:
            quality.waiting.append(item)


def _webhook(quality: Quality, event: AccountEvent, admit: Admit, hasher: Hasher, measures: Measurements) -> bool:
    try:
        keys = [_key(event, known) for known in (hasher, hasher.previous) if known is not None]
    except RecursionError:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        return False
    if any(message_log.has_seen(quality.seen, key) for key in keys):
        measures.count(catalogue.DUPLICATES, ("account_event",))
        return False
    quality.seen = message_log.add_seen(quality.seen, keys[0], event.received, _EVENTS_KEPT)
    if timestamps.is_stale(event.received, event.time):
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return False
    at = _at(event, measures)
    quality.heard = max(quality.heard, event.received)
    if event.field == enums.NUMBER_FIELD:
        _number_event(quality, event, at, admit, measures)
    elif event.field in enums.TEMPLATE_FIELDS:
        _template_event(quality, event, at, admit, measures)
    else:
        account_events.apply_account_event(quality, event, at, admit, measures)
    return True


def _key(event: AccountEvent, hasher: Hasher) -> int:
    """Return the key that all copies of a webhook share (conversations/README.md 5)."""
    value = json.dumps(event.value, sort_keys=True)
    return hasher.message(f"{event.field}\0{event.entry}\0{event.time}\0{value}")


def _at(event: AccountEvent, measures: Measurements) -> float:
    """Return the time of an event from `entry.time`.

    Some fields lack it. A time from the future would block all later events, so the time of arrival replaces it.
    """
    if event.time is None:
        return event.received
    if event.time > event.received + timestamps.FUTURE_TOLERANCE:
        measures.count(catalogue.CLOCK_SKEWS)
        return event.received
    return float(event.time)


# Numbers


def _number_event(quality: Quality, event: AccountEvent, at: float, admit: Admit, measures: Measurements) -> None:
    value = event.value
    display = schema.digits(value.get("display_phone_number"))
    name = account_events.upper(value.get("event"))
    if not display or not name:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        return
    portfolio = value.get("max_daily_conversations_per_business")
    waba = account_events.waba_label(event.entry, admit)
    if portfolio is not None and account_events.upper(portfolio) != _THROUGHPUT and waba:
        messaging_limits.apply_limit(quality.account(waba).limit, portfolio, at, measures)
    item = Waiting(display, enums.listed(name, enums.QUALITY_EVENTS), at, event.received)
    tier = value.get("current_limit")
    if name in _LIMIT_EVENTS and tier is not None and account_events.upper(tier) != _THROUGHPUT:
        found = messaging_limits.normal(tier)
        if found is None:
            measures.count(catalogue.EVENTS_DROPPED, ("unknown_tier",))
        else:
            item.limit, item.has_limit = found.users, True
    number_id = quality.number_of(display)
    if number_id is not None:
        _apply(quality, number_id, item, measures)
        return
    quality.waiting.append(item)
    if len(quality.waiting) > _MOST_WAITING:
        quality.waiting.remove(min(quality.waiting, key=lambda item: item.received))
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))


def _apply(quality: Quality, number_id: str, item: Waiting, measures: Measurements) -> None:
    """Apply an event about a number. No event ever sets the rating."""
    number = quality.numbers[number_id]
    measures.count(catalogue.QUALITY_EVENTS, (number_id, item.event))
    if item.event == "FLAGGED":
        number.flags.raise_(item.at)
    elif item.event == "UNFLAGGED":
        number.flags.clear(item.at)
    if item.has_limit:
        number.limit.update(item.limit, item.at)


# Templates


def _template_event(quality: Quality, event: AccountEvent, at: float, admit: Admit, measures: Measurements) -> None:
    """Apply the status or the quality of a template. Both field names may carry either."""
    value = event.value
    score = value.get("new_quality_score")
    name = account_events.upper(value.get("event"))
    template = _template_of(quality, event, at, admit, measures) if name or score is not None else None
    if template is None:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        return
    if score is not None:
        template.quality.update(polls.rating(score, measures), at)
    if name:
        status = polls.template_status(name)
        template.status.update(status, at)
        reason = account_events.upper(value.get("reason")) or "NONE"
        reason = enums.listed(reason, enums.TEMPLATE_REASONS)
        labels = (template.waba, template.template, template.language, status, reason)
        measures.count(catalogue.TEMPLATE_STATUS_CHANGES, labels)


def _template_of(
    quality: Quality, event: AccountEvent, at: float, admit: Admit, measures: Measurements
) -> Template | None:
    value: Mapping[str, object] = event.value
    name, language = value.get("message_template_name"), value.get("message_template_language")
    waba = account_events.waba_label(event.entry, admit)
    if not isinstance(name, str) or not isinstance(language, str) or not name or not language:
        return None
    return polls.template(quality, (waba, name, language), at, admit, measures)
