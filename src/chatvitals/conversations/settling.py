"""The rule of order (conversations/README.md 4).

Each item is applied one settling window after it was received, in the order in which things happened, together with
all earlier items that are known by then.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from chatvitals.conversations import experiments, handovers, journeys, outbound, preferences, traces, turns
from chatvitals.conversations.state import FORGET_AFTER, FORGET_LATER_AFTER, OPEN, ContactState, Item, Kind, Rules

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.measurements import Measurements


def advance(contact: ContactState, now: float, rules: Rules, measures: Measurements) -> None:
    """Apply everything that is due by `now`.

    Due items are replayed in the order of their due times. Each sees only items that had been received by then, so the
    result does not depend on when or how often this function is called.
    """
    window = rules.settle_after
    known_by = -inf
    while True:
        due = point = inf
        for item in contact.pending:
            if item.received + window < due:
                due, point = item.received + window, item.at
        timer = _next_timer(contact, rules)
        if timer is not None and timer + window < due:
            due, point = timer + window, timer
        if due > now:
            if contact.traces:
                traces.prune(contact)
            return
        known_by = max(known_by, due)
        _apply_up_to(contact, point, known_by, rules, measures)


def next_due(contact: ContactState, rules: Rules) -> float:
    """Return the next time at which `advance` has work, or at which the contact may be deleted."""
    due = forgotten_at(contact)
    for item in contact.pending:
        settled = item.received + rules.settle_after
        if settled < due:  # noqa: PLR1730 - `min` is a call, and this is the hottest loop
            due = settled
    timer = _next_timer(contact, rules)
    if timer is not None and timer + rules.settle_after < due:
        due = timer + rules.settle_after
    return due


def forgotten_at(contact: ContactState) -> float:
    """Return the time at which a silent contact is deleted, in Unix seconds."""
    later = contact.exposures or contact.handovers
    return contact.last_received_at + (FORGET_LATER_AFTER if later else FORGET_AFTER)


def is_forgotten(contact: ContactState, now: float) -> bool:
    """Return whether the contact has been silent for long and nothing is open."""
    return (
        contact.last_received_at > 0.0
        and now >= forgotten_at(contact)
        and not contact.pending
        and not contact.runs
        and all(turn.outcome != OPEN for turn in contact.turns)
    )


def _apply_up_to(contact: ContactState, point: float, known_by: float, rules: Rules, measures: Measurements) -> None:
    """Apply items and timers at or before `point`, in order. Only those known by `known_by` are applied."""
    while True:
        first: Item | None = None
        for item in contact.pending:
            if (
                item.at <= point
                and item.received <= known_by
                and (first is None or (item.at, item.kind, item.key) < (first.at, first.kind, first.key))
            ):
                first = item
        timer = _next_timer(contact, rules)
        if timer is not None and timer <= point and (first is None or timer < first.at):
            turns.fire_timers(contact, timer, rules, measures)
            journeys.fire_timers(contact, timer, measures)
        elif first is not None:
            contact.pending.remove(first)
            _apply(contact, first, rules, measures)
        else:
            return


def _next_timer(contact: ContactState, rules: Rules) -> float | None:
    timer = turns.next_timer(contact, rules)
    if contact.runs:
        other = journeys.next_timer(contact)
        if timer is None or (other is not None and other < timer):
            return other
    return timer


def _apply(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    of_turns = _APPLY_TO_TURNS.get(item.kind)
    if of_turns is not None:
        of_turns(contact, item, rules, measures)
    else:
        _APPLY[item.kind](contact, item, measures)


_APPLY_TO_TURNS: dict[int, Callable[[ContactState, Item, Rules, Measurements], None]] = {
    Kind.MESSAGE: turns.message,
    Kind.REVOKE: turns.revoke,
    Kind.FALLBACK: turns.fallback,
    Kind.HANDOVER: handovers.hand_over,
    Kind.DISMISS: turns.dismiss,
    Kind.RESOLVE: turns.resolve,
    Kind.REPLY: turns.reply,
    Kind.FAILED_ATTEMPT: turns.failed_attempt,
}
_APPLY: dict[int, Callable[[ContactState, Item, Measurements], None]] = {
    Kind.STATUS: outbound.count_status,
    Kind.STEP: journeys.step,
    Kind.RUN_END: journeys.end,
    Kind.EXPOSURE: experiments.expose,
    Kind.PREFERENCE: preferences.apply,
    Kind.SEND_FAILED: experiments.send_failed,
}
