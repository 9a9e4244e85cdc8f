"""Outcomes of experiments, counted per contact that has seen a variant (conversations/README.md 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations.state import ContactState, Exposure, Item
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements


def expose(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Count a contact's first use of a variant. Outcomes count from now on."""
    if any(exposure.experiment == item.name for exposure in contact.exposures):
        return
    contact.exposures += (Exposure(experiment=item.name, variant=item.code, goal=item.journey),)
    measures.count(catalogue.EXPERIMENT_CONTACTS, (contact.phone_number_id, item.name, item.code))


def outcome(contact: ContactState, name: str, measures: Measurements) -> None:
    """Count an outcome once per contact and experiment."""
    for exposure in contact.exposures:
        _count(contact, exposure, name, measures)


def send_failed(contact: ContactState, _: Item, measures: Measurements) -> None:
    """Count that WhatsApp refused a message to the contact."""
    outcome(contact, "send_failed", measures)


def goal(contact: ContactState, journey: str, measures: Measurements) -> None:
    """Count a completed journey for each experiment with this journey as its goal."""
    for exposure in contact.exposures:
        if exposure.goal == journey:
            _count(contact, exposure, "goal", measures)


def observe_wait(contact: ContactState, seconds: float, measures: Measurements, *, answered: bool = True) -> None:
    """Observe the wait of an ended turn. Without an answer it lies in `+Inf` alone, like in `wait_seconds`."""
    observe = measures.observe if answered else measures.observe_endless
    for exposure in contact.exposures:
        observe(catalogue.EXPERIMENT_WAIT, (contact.phone_number_id, exposure.experiment, exposure.variant), seconds)


def _count(contact: ContactState, exposure: Exposure, name: str, measures: Measurements) -> None:
    if name not in exposure.outcomes:
        exposure.outcomes += (name,)
        labels = (contact.phone_number_id, exposure.experiment, exposure.variant, name)
        measures.count(catalogue.EXPERIMENT_OUTCOMES, labels)
