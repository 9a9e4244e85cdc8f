"""Experiments: outcomes of the contacts that have seen a variant, per contact (conversations/README.md 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations.state import Contact, Exposure, Item
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measures


def expose(contact: Contact, item: Item, measures: Measures) -> None:
    """Count a contact's first use of a variant; from now on its outcomes count."""
    if any(exposure.experiment == item.name for exposure in contact.exposures):
        return
    contact.exposures.append(Exposure(experiment=item.name, variant=item.code, goal=item.journey))
    measures.count(catalogue.EXPERIMENT_CONTACTS, (contact.number, item.name, item.code))


def outcome(contact: Contact, name: str, measures: Measures) -> None:
    """Count an outcome, once per contact and experiment."""
    for exposure in contact.exposures:
        _count(contact, exposure, name, measures)


def opt_out(contact: Contact, _: Item, measures: Measures) -> None:
    """Count that the contact stopped a category of messages."""
    outcome(contact, "opt_out", measures)


def send_failed(contact: Contact, _: Item, measures: Measures) -> None:
    """Count that WhatsApp refused a message to the contact."""
    outcome(contact, "send_failed", measures)


def goal(contact: Contact, journey: str, measures: Measures) -> None:
    """Count the goal of those experiments whose goal is this journey, which has just been completed."""
    for exposure in contact.exposures:
        if exposure.goal == journey:
            _count(contact, exposure, "goal", measures)


def waited(contact: Contact, seconds: float, measures: Measures, *, answered: bool = True) -> None:
    """Observe the wait of a turn that ended; one without an answer lies in `+Inf` alone, as in `wait_seconds`."""
    observe = measures.observe if answered else measures.observe_endless
    for exposure in contact.exposures:
        observe(catalogue.EXPERIMENT_WAIT, (contact.number, exposure.experiment, exposure.variant), seconds)


def _count(contact: Contact, exposure: Exposure, name: str, measures: Measures) -> None:
    if name not in exposure.outcomes:
        exposure.outcomes.append(name)
        labels = (contact.number, exposure.experiment, exposure.variant, name)
        measures.count(catalogue.EXPERIMENT_OUTCOMES, labels)
