"""Counts of turns and conversations at their start and end (conversations/README.md 4)."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from chatvitals.conversations import experiments, traces
from chatvitals.conversations.state import (
    ACTOR_LABELS,
    ANSWERED,
    DISMISSED,
    EVIDENCE_LABELS,
    FAILED,
    HOURS_LABELS,
    ORIGIN_LABELS,
    OUTCOME_LABELS,
    TURN_LABELS,
    UNANSWERED,
    ContactState,
    Evidence,
    Item,
    Rules,
    Turn,
)
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SettledTurn

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements

_by_activity = attrgetter("active")


def conversation(contact: ContactState, origin: int, measures: Measurements) -> None:
    """Count a conversation that has begun. `origin` 0 counts nothing."""
    if origin:
        measures.count(catalogue.CONVERSATIONS_STARTED, (contact.phone_number_id, ORIGIN_LABELS[origin]))


def opened(contact: ContactState, turn: Turn, measures: Measurements) -> None:
    """Count a turn that waits from now on. A turn of closing remarks alone is counted when it ends."""
    if not turn.closing:
        labels = _labels(contact, turn)
        measures.count(catalogue.TURNS_OPENED, labels)
        measures.count(catalogue.TURNS_OPEN, labels)


def overdue(contact: ContactState, turn: Turn, rules: Rules, measures: Measurements) -> None:
    """Count that the age of a turn crossed its next threshold."""
    number, name, hours = _labels(contact, turn)
    measures.count(catalogue.TURNS_OVERDUE, (number, name, rules.threshold_label(turn.overdue), hours))
    turn.overdue += 1


def answered(contact: ContactState, turn: Turn, item: Item, measures: Measurements) -> None:
    """End a turn with a reply."""
    if item.evidence >= Evidence.CODE:
        seconds = item.at - turn.start
    else:  # WhatsApp's second of the reply less WhatsApp's second of the message
        seconds = float(item.second - turn.second)
        if seconds < 0.0:
            measures.count(catalogue.CLOCK_SKEWS)
            seconds = 0.0
    trace = _end(contact, turn, ANSWERED, item.at, measures, contact.traces.get(item.key, b""))
    number, name, hours = _labels(contact, turn)
    labels = (number, name, ACTOR_LABELS[item.actor], EVIDENCE_LABELS[item.evidence], hours)
    measures.observe(catalogue.RESPONSE_SECONDS, labels, seconds, trace, item.at)
    _observe_wait(contact, turn, seconds, measures, trace)


def dismissed(contact: ContactState, turn: Turn, at: float, measures: Measurements) -> None:
    """End a turn that needs no reply. A turn of closing remarks has no wait."""
    trace = _end(contact, turn, DISMISSED, at, measures)
    if not turn.closing:
        _observe_wait(contact, turn, max(at - turn.start, 0.0), measures, trace)


def given_up(contact: ContactState, turn: Turn, at: float, measures: Measurements) -> None:
    """End a turn at its deadline."""
    if turn.closing:
        dismissed(contact, turn, at, measures)
        return
    trace = _end(contact, turn, FAILED if turn.failed else UNANSWERED, at, measures)
    measures.observe_endless(catalogue.WAIT_SECONDS, _labels(contact, turn), at - turn.start, trace, at)
    experiments.observe_wait(contact, at - turn.start, measures, answered=False)
    experiments.outcome(contact, "unanswered", measures)


def _end(
    contact: ContactState, turn: Turn, outcome: int, at: float, measures: Measurements, reply: bytes = b""
) -> bytes:
    """End a turn, and return the trace that it belongs to, or nothing."""
    trace = traces.of_turn(contact, turn)
    turn.outcome, turn.ended, turn.burst = outcome, at, []
    number, name, hours = labels = _labels(contact, turn)
    if turn.closing:
        conversation(contact, turn.origin, measures)
        measures.count(catalogue.TURNS_OPENED, labels)
    else:
        measures.count(catalogue.TURNS_OPEN, labels, -1.0)
    measures.count(catalogue.TURNS, (number, name, OUTCOME_LABELS[outcome], hours))
    if trace:
        run = max(contact.runs, key=_by_activity, default=None)
        known = {"phone_number_id": number, "turn": name, "outcome": OUTCOME_LABELS[outcome], "in_hours": hours}
        if run is not None:
            known |= {"journey": run.journey, "step": run.step}
        measures.turns.append(SettledTurn(trace, reply, turn.start, at, known))
    return trace


def _observe_wait(contact: ContactState, turn: Turn, seconds: float, measures: Measurements, trace: bytes) -> None:
    measures.observe(catalogue.WAIT_SECONDS, _labels(contact, turn), seconds, trace, turn.ended)
    experiments.observe_wait(contact, seconds, measures)


def _labels(contact: ContactState, turn: Turn) -> tuple[str, str, str]:
    return (contact.phone_number_id, TURN_LABELS[turn.label], HOURS_LABELS[turn.hours])
