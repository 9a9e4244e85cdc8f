"""The one rule of order (SEMANTICS.md 4).

Everything is applied one settling window after it was received, in the order in which it happened, with whatever
earlier is known by then.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from chatvitals.reducer import outbound, turns
from chatvitals.reducer.state import FORGET_AFTER, OPEN, Contact, Item, Kind, Rules

if TYPE_CHECKING:
    from chatvitals.reducer.measures import Measures


def advance(contact: Contact, now: float, rules: Rules, measures: Measures) -> None:
    """Apply everything that is due by `now`.

    What becomes due is replayed in the order of its due times, each seeing only what had been received by then, so the
    result does not depend on when or how often this is called.
    """
    window = rules.settle_after
    known_by = -inf
    while True:
        due = point = inf
        for item in contact.pending:
            if item.received + window < due:
                due, point = item.received + window, item.at
        timer = turns.next_timer(contact, rules)
        if timer is not None and timer + window < due:
            due, point = timer + window, timer
        if due > now:
            return
        known_by = max(known_by, due)
        _apply_up_to(contact, point, known_by, rules, measures)


def next_due(contact: Contact, rules: Rules) -> float:
    """Return when `advance` has something to do again; at the latest, when the contact may be forgotten."""
    due = contact.touched + FORGET_AFTER
    for item in contact.pending:
        settled = item.received + rules.settle_after
        if settled < due:  # noqa: PLR1730 - `min` is a call, and this is the hottest loop
            due = settled
    timer = turns.next_timer(contact, rules)
    if timer is not None and timer + rules.settle_after < due:
        due = timer + rules.settle_after
    return due


def is_forgotten(contact: Contact, now: float) -> bool:
    """Say whether nothing has been received for 8 days and nothing is open."""
    return (
        contact.touched > 0.0
        and now >= contact.touched + FORGET_AFTER
        and not contact.pending
        and all(turn.outcome != OPEN for turn in contact.turns)
    )


def _apply_up_to(contact: Contact, point: float, known_by: float, rules: Rules, measures: Measures) -> None:
    """Apply items and timers at or before `point`, in order, of those that are known by `known_by`."""
    while True:
        first: Item | None = None
        for item in contact.pending:
            if (
                item.at <= point
                and item.received <= known_by
                and (first is None or (item.at, item.kind, item.key) < (first.at, first.kind, first.key))
            ):
                first = item
        timer = turns.next_timer(contact, rules)
        if timer is not None and timer <= point and (first is None or timer < first.at):
            turns.strike(contact, timer, rules, measures)
        elif first is not None:
            contact.pending.remove(first)
            _apply(contact, first, rules, measures)
        else:
            return


def _apply(contact: Contact, item: Item, rules: Rules, measures: Measures) -> None:
    match item.kind:
        case Kind.MESSAGE:
            turns.message(contact, item, rules, measures)
        case Kind.REVOKE:
            turns.revoke(contact, item, measures)
        case Kind.FALLBACK:
            turns.fallback(contact, measures)
        case Kind.HANDOVER:
            turns.handover(contact, item, measures)
        case Kind.DISMISS:
            turns.dismiss(contact, item, measures)
        case Kind.RESOLVE:
            turns.resolve(contact, item, measures)
        case Kind.REPLY:
            turns.reply(contact, item, measures)
        case Kind.STATUS:
            outbound.count_status(contact, item, measures)
