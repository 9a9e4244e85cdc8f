"""Handovers, in which a contact waits until a person replies (conversations/README.md 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations import experiments, journeys
from chatvitals.conversations.state import HOURS_LABELS, ContactState, Item, Rules
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements


def hand_over(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """Start a wait for a person, unless the contact waits already. Open runs end in either case."""
    journeys.hand_over(contact, item.at, measures)
    if contact.handovers:
        return
    experiments.outcome(contact, "handover", measures)
    hours = rules.hours_index(item.at)
    contact.set_handovers([(item.at, hours)])
    measures.count(catalogue.HANDOVERS, (contact.phone_number_id,))
    measures.count(catalogue.HANDOVERS_OPEN, (contact.phone_number_id, HOURS_LABELS[hours]))


def answer(contact: ContactState, at: float, measures: Measurements) -> None:
    """End the waits that began before a person's reply."""
    if not contact.handovers:
        return
    left: list[tuple[float, int]] = []
    for since, hours in contact.open_handovers():
        if since > at:
            left.append((since, hours))
            continue
        labels = (contact.phone_number_id, HOURS_LABELS[hours])
        measures.observe(catalogue.HUMAN_FIRST_RESPONSE, labels, at - since)
        measures.count(catalogue.HANDOVERS_OPEN, labels, -1.0)
    contact.set_handovers(left)


def drop(contact: ContactState, measures: Measurements) -> None:
    """End all waits for a person, because a new conversation began or the contact is deleted."""
    for _, hours in contact.open_handovers():
        measures.count(catalogue.HANDOVERS_OPEN, (contact.phone_number_id, HOURS_LABELS[hours]), -1.0)
    contact.set_handovers([])
