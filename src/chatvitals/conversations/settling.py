"""The rule of order (conversations/README.md 4).

Each item is applied one settling window after it was received, in the order in which things happened, together with
all earlier items that are known by then.
"""

from __future__ import annotations

from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from chatvitals.conversations import experiments, handovers, journeys, outbound, preferences, traces, turns
from chatvitals.conversations.state import (
    FORGET_AFTER,
    FORGET_LATER_AFTER,
    OPEN,
    ContactState,
    Item,
    Kind,
    Rules,
    decode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.metrics.measurements import Measurements

_by_order = attrgetter("at", "kind", "key")


def advance(contact: ContactState, now: float, rules: Rules, measures: Measurements) -> float:
    """Apply everything that is due by `now`. Return the next time at which there is work, or at which it is forgotten.

    Due items are replayed in the order of their due times. Each sees only items that had been received by then, so the
    result does not depend on when or how often this function is called.
    """
    window = rules.settle_after
    known_by = -inf
    timer = _next_timer(contact, rules)
    while True:
        due = point = inf
        for item in contact.pending:
            settled = item.received + window
            if settled < due:
                due, point = settled, item.at
        if timer is not None and timer + window < due:
            due, point = timer + window, timer
        if due > now:
            if contact.traces:
                traces.prune(contact)
            return min(due, forgotten_at(contact))
        known_by = max(known_by, due)
        timer = _apply_up_to(contact, point, known_by, timer, rules, measures)


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
    return contact.last_received_at > 0.0 and now >= forgotten_at(contact) and _is_closed(contact)


def is_silent(contact: ContactState) -> bool:
    """Return whether only the deletion of the contact lies ahead, which changes no number."""
    return _is_closed(contact) and not contact.handovers


def is_silent_row(row: object) -> bool:
    """Return whether a row of a store is the state of a silent contact. An unreadable row is none."""
    try:
        return isinstance(row, bytes) and is_silent(decode(row))
    except msgspec.MsgspecError:
        return False


def _is_closed(contact: ContactState) -> bool:
    return not contact.pending and not contact.runs and all(turn.outcome != OPEN for turn in contact.turns)


def _apply_up_to(
    contact: ContactState, point: float, known_by: float, timer: float | None, rules: Rules, measures: Measurements
) -> float | None:
    """Apply items and timers at or before `point`, in order. Only those known by `known_by` are applied.

    Return the next timer. `timer` is the next timer before.
    """
    ready: list[Item] = []
    waiting: list[Item] = []
    for item in contact.pending:
        (ready if item.at <= point and item.received <= known_by else waiting).append(item)
    contact.pending = waiting
    if len(ready) > 1:
        ready.sort(key=_by_order)
    for item in ready:
        while timer is not None and timer < item.at:
            timer = _fire_timers(contact, timer, rules, measures)
        _apply(contact, item, rules, measures)
        if item.kind != Kind.STATUS:  # a status changes no turn and no run
            timer = _next_timer(contact, rules)
    while timer is not None and timer <= point:
        timer = _fire_timers(contact, timer, rules, measures)
    return timer


def _fire_timers(contact: ContactState, at: float, rules: Rules, measures: Measurements) -> float | None:
    """Apply the timers that are due at `at`. Return the next timer."""
    turns.fire_timers(contact, at, rules, measures)
    journeys.fire_timers(contact, at, measures)
    return _next_timer(contact, rules)


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
