"""Outbound messages, with all evidence of one message in one record (conversations/README.md 2 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations import experiments, message_log, timestamps
from chatvitals.conversations.message_log import Record
from chatvitals.conversations.state import ACTOR_LABELS, ContactState, Evidence, Item, Kind
from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from chatvitals.conversations.timestamps import EventTime
    from chatvitals.events import Echo, Reply, Send, Status
    from chatvitals.metrics.measurements import Measurements

_SENT, _PLAYED, _FAILED = (enums.STATUSES.index(name) for name in ("sent", "played", "failed"))
_STATUS_INDEX = {name: index for index, name in enumerate(enums.STATUSES)}
_UNLISTED_STATUS = _STATUS_INDEX[enums.OTHER]
_READ = _STATUS_INDEX["read"]
_UNLISTED_CATEGORY = 255
_CATEGORY_INDEX = {name: index for index, name in enumerate(enums.CATEGORIES, 1)}
_KINDS = {
    "reply": message_log.REPLY,
    "campaign": message_log.CAMPAIGN,
    "notice": message_log.OTHER,
    "other": message_log.OTHER,
}
_MAY_BE_REPLY = frozenset({message_log.UNKNOWN, message_log.REPLY})
_NO_REPLY_ECHOES = frozenset({"edit", "revoke", "reaction", "system"})


def status(contact: ContactState, event: Status, key: int, measures: Measurements) -> None:
    """Apply one status. It counts at once where no later event can change its labels."""
    index = _STATUS_INDEX.get(event.status, _UNLISTED_STATUS)
    record = message_log.find_record(contact.records, key) or Record(key, int(event.received))
    moment = timestamps.moment(event.received, event.timestamp)
    if record.seen >> index & 1:
        if not event.group:  # in a group, all participants' copies of a status have the same id
            measures.count(catalogue.DUPLICATES, ("status",))
            if index == _SENT:
                take_earlier_copy(contact, Kind.REPLY, key, event.received, moment, Evidence.STATUS)
            elif index == _FAILED:
                take_earlier_copy(contact, Kind.FAILED_ATTEMPT, key, event.received, moment)
        return
    record.seen |= 1 << index
    if event.category and not record.category:
        record.category = _category_index(event.category)
    if moment.skewed:
        measures.count(catalogue.CLOCK_SKEWS)
    item = Item(Kind.STATUS, event.received, moment.at, key, moment.second, status=index)
    if index == _FAILED:
        _failed(contact, event, record, item, measures)
    elif index == _SENT and not event.group:
        # only `sent` shows when a message left; `read` and `delivered` of an unknown message do not
        evidence = Item(Kind.REPLY, event.received, moment.at, key, moment.second, Evidence.STATUS,
                        ACTOR_LABELS.index("unknown"))  # fmt: skip
        _add_evidence(contact, record, evidence)
    if record.category and (record.counted or record.api) and index != _FAILED:
        _count(contact, record, item, measures)
    else:
        contact.pending.append(item)
    contact.records = message_log.put_record(contact.records, record)


def _failed(contact: ContactState, event: Status, record: Record, item: Item, measures: Measurements) -> None:
    """Record a failure: a late failure where the reply had answered a turn, otherwise a failed attempt to reply."""
    item.code = enums.code_label(event.code)
    record.failed = True
    if record.answered:
        measures.count(catalogue.LATE_FAILURES, (contact.phone_number_id,))
    elif not record.applied and not event.group and record.kind in _MAY_BE_REPLY:
        attempt = Item(Kind.FAILED_ATTEMPT, event.received, item.at, item.key, item.second)
        contact.pending.append(attempt)


def take_earlier_copy(
    contact: ContactState, kind: int, key: int, received: float, moment: EventTime, evidence: int = 0
) -> None:
    """Replace a waiting item by an earlier copy of it (conversations/README.md 4)."""
    for item in contact.pending:
        if item.key == key and item.kind == kind and item.evidence == evidence:
            if received < item.received:
                item.received, item.at, item.second = received, moment.at, moment.second
            return


def count_status(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Count a status whose settling window has passed."""
    record = message_log.find_record(contact.records, item.key) or Record(item.key, int(item.received))
    record.counted = True
    _count(contact, record, item, measures)
    contact.records = message_log.put_record(contact.records, record)


def send(contact: ContactState, event: Send, key: int, template: int) -> None:
    """Apply an accepted call of the bot's client. It is the richest evidence and decides the kind of the message."""
    record = message_log.find_record(contact.records, key) or Record(key, int(event.received))
    record.api = True
    record.template = record.template or template
    record.kind = _KINDS[event.kind]
    if record.kind == message_log.REPLY:
        evidence = Item(Kind.REPLY, event.received, event.received, key, int(event.received), Evidence.API,
                        ACTOR_LABELS.index(event.actor))  # fmt: skip
        _add_evidence(contact, record, evidence)
    else:
        _drop_evidence(contact, key)
    contact.records = message_log.put_record(contact.records, record)


def echo(contact: ContactState, event: Echo, key: int, measures: Measurements) -> None:
    """Apply a message that a person typed in the WhatsApp Business app, or that another responder sent."""
    moment = timestamps.moment(event.received, event.timestamp)
    if message_log.has_seen(contact.seen, key):
        measures.count(catalogue.DUPLICATES, ("echo",))
        take_earlier_copy(contact, Kind.REPLY, key, event.received, moment, Evidence.ECHO)
        return
    contact.seen = message_log.add_seen(contact.seen, key, event.received)
    if moment.skewed:
        measures.count(catalogue.CLOCK_SKEWS)
    if event.adds_nothing or event.type in _NO_REPLY_ECHOES:
        _is_no_reply(contact, key, event.received, message_log.OTHER)
        return
    if event.type == "template":  # nobody's message is being handled here, so it is a campaign
        _is_no_reply(contact, key, event.received, message_log.CAMPAIGN)
        return
    evidence = Item(Kind.REPLY, event.received, moment.at, key, moment.second, Evidence.ECHO,
                    ACTOR_LABELS.index(event.actor))  # fmt: skip
    _told(contact, key, evidence)


def reply(contact: ContactState, event: Reply, key: int) -> None:
    """Apply a reply that the bot's code reports."""
    evidence = Item(Kind.REPLY, event.received, event.received, key, int(event.received), Evidence.CODE,
                    ACTOR_LABELS.index(event.actor))  # fmt: skip
    _told(contact, key, evidence)


def _is_no_reply(contact: ContactState, key: int, received: float, kind: int) -> None:
    record = message_log.find_record(contact.records, key) or Record(key, int(received))
    if record.kind == message_log.UNKNOWN:
        record.kind = kind
        _drop_evidence(contact, key)
        contact.records = message_log.put_record(contact.records, record)


def _told(contact: ContactState, key: int, evidence: Item) -> None:
    record = message_log.find_record(contact.records, key) or Record(key, int(evidence.received))
    if record.kind == message_log.UNKNOWN:
        record.kind = message_log.REPLY
    _add_evidence(contact, record, evidence)
    contact.records = message_log.put_record(contact.records, record)


def _add_evidence(contact: ContactState, record: Record, evidence: Item) -> None:
    """Let `evidence` wait for its window, in place of poorer evidence of the same reply."""
    if record.applied or record.kind not in _MAY_BE_REPLY:
        return
    for position, item in enumerate(contact.pending):
        if item.kind == Kind.REPLY and item.key == record.key:
            if evidence.evidence > item.evidence:
                contact.pending[position] = evidence
            return
    contact.pending.append(evidence)


def _drop_evidence(contact: ContactState, key: int) -> None:
    contact.pending = [item for item in contact.pending if item.kind != Kind.REPLY or item.key != key]


def _count(contact: ContactState, record: Record, item: Item, measures: Measurements) -> None:
    """Count a status and the lower statuses that it implies, unless they have been counted."""
    category = _category_label(record.category)
    if item.status > _PLAYED:
        levels = range(item.status, item.status + 1)
    else:
        levels = range(record.level, item.status + 1)
        record.level = max(record.level, item.status + 1)
    template = contact.templates[record.template - 1] if record.template else None
    for level in levels:
        name = enums.STATUSES[level]
        measures.count(catalogue.MESSAGE_STATUSES, (contact.phone_number_id, name, category))
        if template is not None and (level <= _READ or level == _FAILED):
            measures.count(catalogue.TEMPLATE_MESSAGES, (contact.phone_number_id, *template, name))
    if item.status == _FAILED:
        if template is not None:
            measures.count(catalogue.TEMPLATE_FAILURES, (contact.phone_number_id, *template, item.code))
        experiments.outcome(contact, "send_failed", measures)
        measures.count(catalogue.MESSAGE_FAILURES, (contact.phone_number_id, item.code, category))


def _category_index(text: str) -> int:
    return _CATEGORY_INDEX.get(enums.category_label(text), _UNLISTED_CATEGORY)


def _category_label(index: int) -> str:
    if index == 0:
        return "unknown"
    return enums.OTHER if index == _UNLISTED_CATEGORY else enums.CATEGORIES[index - 1]
