"""Immediate effects of an event: duplicates, counts of arrival, and the items that wait for their window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.conversations import message_log, outbound, preferences, timestamps, traces
from chatvitals.conversations.state import ContactState, Item, Kind
from chatvitals.events import (
    Call,
    Echo,
    Exposed,
    IdentityChange,
    Message,
    PersonEvent,
    Preference,
    Reply,
    RunEnd,
    Send,
    Status,
    Step,
)
from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.conversations.identity import Hasher
    from chatvitals.metrics.measurements import Measurements

_OPENS_NO_TURN = frozenset({"reaction", "system", "edit", "revoke", "request_welcome"})
_CALLS = {
    "handover": Kind.HANDOVER,
    "fallback": Kind.FALLBACK,
    "dismiss": Kind.DISMISS,
    "resolve": Kind.RESOLVE,
}
_OPT_INS = frozenset({"resume", "signup"})


def apply_event(contact: ContactState, event: PersonEvent, hasher: Hasher, measures: Measurements) -> None:
    """Apply one event to the contact's state."""
    if event.received > contact.last_received_at:  # noqa: PLR1730 - `max` is a call, and this is hot
        contact.last_received_at = event.received
    _FOLD[type(event)](contact, event, hasher, measures)


def _status(contact: ContactState, event: Status, hasher: Hasher, measures: Measurements) -> None:
    if timestamps.is_stale(event.received, event.timestamp):
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return
    outbound.status(contact, event, hasher.message_in(contact, event.id), measures)


def _echo(contact: ContactState, event: Echo, hasher: Hasher, measures: Measurements) -> None:
    if timestamps.is_stale(event.received, event.timestamp):
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return
    outbound.echo(contact, event, hasher.message_in(contact, event.id), measures)


def _reply(contact: ContactState, event: Reply, hasher: Hasher, _: Measurements) -> None:
    outbound.reply(contact, event, _outbound_key(contact, event, hasher))


def _call(contact: ContactState, event: Call, *_: object) -> None:
    contact.pending.append(Item(_CALLS[event.name], event.received, event.received))


def _run_end(contact: ContactState, event: RunEnd, *_: object) -> None:
    item = Item(Kind.RUN_END, event.received, event.received, name=event.outcome, journey=event.journey)
    contact.pending.append(item)


def _exposed(contact: ContactState, event: Exposed, *_: object) -> None:
    item = Item(Kind.EXPOSURE, event.received, event.received)
    item.name, item.code, item.journey = event.experiment, event.variant, event.goal
    contact.pending.append(item)


def _identity_change(*_: object) -> None:
    """Do nothing, because the identities have already taken in the aliases."""


def _message(contact: ContactState, event: Message, hasher: Hasher, measures: Measurements) -> None:
    if timestamps.is_stale(event.received, event.timestamp):
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return
    key = hasher.message_in(contact, event.id)
    moment = timestamps.moment(event.received, event.timestamp)
    if message_log.has_seen(contact.seen, key):
        measures.count(catalogue.DUPLICATES, ("message",))
        kind, about = (
            (Kind.REVOKE, hasher.message_in(contact, event.of)) if event.type == "revoke" else (Kind.MESSAGE, key)
        )
        outbound.take_earlier_copy(contact, kind, about, event.received, moment)
        return
    contact.seen = message_log.add_seen(contact.seen, key, event.received)
    if moment.skewed:
        measures.count(catalogue.CLOCK_SKEWS)
    measures.count(catalogue.MESSAGES_RECEIVED, (contact.phone_number_id, enums.type_label(event.type)))
    if event.type == "revoke" and event.of:
        of = hasher.message_in(contact, event.of)
        contact.pending.append(Item(Kind.REVOKE, event.received, moment.at, of, moment.second))
    elif not (
        event.adds_nothing or event.group or event.only_errors or event.own_number or event.type in _OPENS_NO_TURN
    ):
        item = Item(Kind.MESSAGE, event.received, moment.at, key, moment.second, closing=event.closing)
        contact.pending.append(item)
        if event.trace:
            traces.keep(contact, key, event.trace)


def _send(contact: ContactState, event: Send, hasher: Hasher, measures: Measurements) -> None:
    result = "accepted" if event.accepted else "rejected"
    code = "" if event.accepted else enums.code_label(event.code)
    measures.count(catalogue.SENDS, (contact.phone_number_id, event.kind, result, code))
    if event.seconds is not None:
        measures.observe(
            catalogue.SEND_SECONDS_FAMILY, (contact.phone_number_id,), event.seconds, event.trace, event.received
        )
    if not event.accepted and event.kind != "other":
        contact.pending.append(Item(Kind.SEND_FAILED, event.received, event.received))
        if event.kind == "reply":
            contact.pending.append(Item(Kind.FAILED_ATTEMPT, event.received, event.received))
    if event.accepted and (event.id or event.kind == "reply"):
        template = contact.template_index((event.template, event.language))
        key = _outbound_key(contact, event, hasher)
        outbound.send(contact, event, key, template)
        if event.trace:
            traces.keep(contact, key, event.trace)


def _step(contact: ContactState, event: Step, *_: object) -> None:
    item = Item(Kind.STEP, event.received, event.received, name=event.step, journey=event.journey)
    item.completes = event.completes
    item.spans = (event.stalled_after, event.abandoned_after, event.expires_after)
    contact.pending.append(item)


def _preference(contact: ContactState, event: Preference, hasher: Hasher, measures: Measurements) -> None:
    key = hasher.message_in(contact, f"{event.category}\0{event.value}\0{event.timestamp}")
    if message_log.has_seen(contact.seen, key):
        measures.count(catalogue.DUPLICATES, ("preference",))
        return
    contact.seen = message_log.add_seen(contact.seen, key, event.received)
    if event.value != "stop" and event.value not in _OPT_INS:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        return
    moment = timestamps.moment(event.received, event.timestamp)
    if moment.skewed:
        measures.count(catalogue.CLOCK_SKEWS)
    item = Item(Kind.PREFERENCE, event.received, moment.at, second=moment.second, code=event.category)
    item.status = preferences.STOP if event.value == "stop" else preferences.RESUME
    contact.pending.append(item)


def _outbound_key(contact: ContactState, event: Send | Reply, hasher: Hasher) -> int:
    """Return the key of a reply. Without a message id, the key comes from the contact and the time of the reply."""
    return hasher.message_in(contact, event.id or f"at\0{event.wa_id}\0{event.user_id}\0{event.received!r}")


_FOLD: dict[type[PersonEvent], Callable[[ContactState, Any, Hasher, Measurements], None]] = {
    Status: _status,
    Message: _message,
    Send: _send,
    Echo: _echo,
    Reply: _reply,
    Call: _call,
    Preference: _preference,
    IdentityChange: _identity_change,
    Step: _step,
    RunEnd: _run_end,
    Exposed: _exposed,
}
