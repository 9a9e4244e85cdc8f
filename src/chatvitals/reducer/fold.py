"""What receiving an event does at once: duplicates, counts of arrival, and the items that wait for their window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals import catalogue, vocabulary
from chatvitals.events import Call, Echo, IdentityChange, Message, PersonEvent, Preference, Reply, Send, Status
from chatvitals.reducer import clocks, memory, outbound
from chatvitals.reducer.state import Contact, Item, Kind

if TYPE_CHECKING:
    from chatvitals.reducer.identity import Hasher
    from chatvitals.reducer.measures import Measures

_OPENS_NO_TURN = frozenset({"reaction", "system", "edit", "revoke", "request_welcome"})
_CALLS = {
    "handover": Kind.HANDOVER,
    "fallback": Kind.FALLBACK,
    "dismiss": Kind.DISMISS,
    "resolve": Kind.RESOLVE,
}
_OPT_INS = frozenset({"resume", "signup"})


def fold(contact: Contact, event: PersonEvent, hasher: Hasher, measures: Measures) -> None:
    """Take one event into the contact's state."""
    contact.touched = max(contact.touched, event.received)
    match event:
        case Status():
            outbound.status(contact, event, hasher.message(event.id), measures)
        case Message():
            _message(contact, event, hasher, measures)
        case Send():
            _send(contact, event, hasher, measures)
        case Echo():
            outbound.echo(contact, event, hasher.message(event.id), measures)
        case Reply():
            outbound.reply(contact, event, _message_key(event, hasher))
        case Call():
            contact.pending.append(Item(_CALLS[event.name], event.received, event.received, second=int(event.received)))
        case Preference():
            _preference(contact, event, hasher, measures)
        case IdentityChange():
            pass  # its aliases are all that it says; the identities have taken them in


def _message(contact: Contact, event: Message, hasher: Hasher, measures: Measures) -> None:
    key = hasher.message(event.id)
    if memory.has_seen(contact.seen, key):
        measures.count(catalogue.DUPLICATES, ("message",))
        return
    contact.seen = memory.add_seen(contact.seen, key, event.received)
    if clocks.is_stale(event.received, event.timestamp):
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return
    moment = clocks.moment(event.received, event.timestamp)
    if moment.skewed:
        measures.count(catalogue.CLOCK_SKEWS)
    measures.count(catalogue.MESSAGES_RECEIVED, (contact.number, vocabulary.type_label(event.type)))
    if event.type == "revoke" and event.of:
        contact.pending.append(Item(Kind.REVOKE, event.received, moment.at, hasher.message(event.of), moment.second))
    elif event.type not in _OPENS_NO_TURN and not event.group and not event.only_errors:
        measures.observe(catalogue.WEBHOOK_LAG, (contact.number,), event.received - moment.at)
        contact.pending.append(Item(Kind.MESSAGE, event.received, moment.at, key, moment.second))


def _send(contact: Contact, event: Send, hasher: Hasher, measures: Measures) -> None:
    result = "accepted" if event.accepted else "rejected"
    code = "" if event.accepted else vocabulary.code_label(event.code)
    measures.count(catalogue.SENDS, (contact.number, event.kind, result, code))
    if event.seconds is not None:
        measures.observe(catalogue.SEND_SECONDS_FAMILY, (contact.number,), event.seconds)
    if event.accepted and (event.id or event.kind == "reply"):
        template = contact.template_index((event.template, event.language))
        outbound.send(contact, event, _message_key(event, hasher), template)


def _preference(contact: Contact, event: Preference, hasher: Hasher, measures: Measures) -> None:
    key = hasher.message(f"{event.category}\0{event.value}\0{event.timestamp}")
    if memory.has_seen(contact.seen, key):
        measures.count(catalogue.DUPLICATES, ("preference",))
        return
    contact.seen = memory.add_seen(contact.seen, key, event.received)
    category = event.category if event.category == "marketing_messages" else vocabulary.OTHER
    if event.value == "stop":
        measures.count(catalogue.OPT_OUTS, (contact.number, category))
    elif event.value in _OPT_INS:
        measures.count(catalogue.OPT_INS, (contact.number, category))
    else:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))


def _message_key(event: Send | Reply, hasher: Hasher) -> int:
    """Return the key of a reply; one whose message id is not known is known by when it was made."""
    return hasher.message(event.id or f"at\0{event.phone}\0{event.user}\0{event.received!r}")
