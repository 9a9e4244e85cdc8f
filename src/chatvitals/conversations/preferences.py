"""A contact's preferences for categories of messages, and the templates before them (conversations/README.md 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.conversations import experiments, message_log, timestamps
from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from chatvitals.conversations.state import ContactState, Item
    from chatvitals.metrics.measurements import Measurements

STOP: Final = 0
RESUME: Final = 1
_AFTER_TEMPLATE: Final = 72 * 3600.0  # an opt-out counts for a template message at most this many seconds before
_CATEGORIES_KEPT: Final = 16


def apply(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Count a preference. A preference that is older than the known preference of its category changes nothing."""
    known = contact.preferences.get(item.code)
    if known is not None and item.second < known:
        measures.count(catalogue.DUPLICATES, ("preference",))
        return
    if timestamps.is_stale(item.received, item.second):  # a redelivery after the contact's state was deleted
        measures.count(catalogue.EVENTS_DROPPED, ("stale",))
        return
    if known is not None or len(contact.preferences) < _CATEGORIES_KEPT:
        contact.preferences[item.code] = item.second
    labels = (contact.phone_number_id, item.code if item.code == enums.MARKETING_MESSAGES else enums.OTHER)
    if item.status != STOP:
        measures.count(catalogue.OPT_INS, labels)
        return
    measures.count(catalogue.OPT_OUTS, labels)
    experiments.outcome(contact, "opt_out", measures)
    since = int(item.at) - _AFTER_TEMPLATE  # records hold whole seconds
    number = message_log.latest_template(contact.records, item.at, since)
    if number:
        template, language = contact.templates[number - 1]
        measures.count(catalogue.TEMPLATE_OPT_OUTS, (contact.phone_number_id, template, language))
