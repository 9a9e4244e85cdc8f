"""Rules for turns and conversations, applied when an item or a timer is due (conversations/README.md 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations import bursts, handovers, journeys, message_log, turn_counts
from chatvitals.conversations.state import (
    ACTOR_LABELS,
    ANSWERED,
    DAY,
    DISMISSED,
    FIRST,
    NEW_AFTER,
    NEXT,
    OPEN,
    ORIGIN_LABELS,
    ContactState,
    Item,
    Rules,
    Turn,
)
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements

_HUMAN = ACTOR_LABELS.index("human")
_NEW, _RETURNING = map(ORIGIN_LABELS.index, ("new", "returning"))


def next_timer(contact: ContactState, rules: Rules) -> float | None:
    """Return the time of the next timer of any open turn: an overdue threshold or the deadline."""
    earliest: float | None = None
    for turn in contact.turns:
        if turn.outcome == OPEN:
            point = turn.last + rules.unanswered_after
            if turn.overdue < len(rules.overdue_after) and not turn.closing:
                crossing = turn.start + rules.overdue_after[turn.overdue]
                if crossing < point:  # noqa: PLR1730 - `min` is a call, and this is hot
                    point = crossing
            if earliest is None or point < earliest:
                earliest = point
    return earliest


def fire_timers(contact: ContactState, at: float, rules: Rules, measures: Measurements) -> None:
    """Apply the timers of open turns that are due at `at`: overdue thresholds and deadlines."""
    for turn in contact.turns:
        if turn.outcome != OPEN:
            continue
        while (
            not turn.closing
            and turn.overdue < len(rules.overdue_after)
            and turn.start + rules.overdue_after[turn.overdue] <= at
        ):
            turn_counts.overdue(contact, turn, rules, measures)
        if turn.last + rules.unanswered_after <= at:
            turn_counts.given_up(contact, turn, turn.last + rules.unanswered_after, measures)
    _drop_ended(contact)


def message(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """Open a turn or join the open turn. A message from before the last reply joins a closed turn silently."""
    measures.observe(catalogue.WEBHOOK_LAG, (contact.phone_number_id,), item.received - item.at)
    journeys.activity(contact, item.at, measures)
    last_message_at = contact.last_message_at
    contact.last_message_at = max(last_message_at, item.at)
    if item.at <= contact.last_reply_at:
        return
    closing = item.closing and not contact.runs and item.at - contact.last_reply_at < DAY
    journeys.count_message(contact, item.at, measures)
    turn = _latest_open(contact)
    origin = 0
    if _begins_conversation(contact, item.at, last_message_at, closing=closing):
        origin = _RETURNING if last_message_at and item.at - last_message_at < NEW_AFTER else _NEW
        contact.resolved = False
        handovers.drop(contact, measures)
        if turn is not None and not (turn.closing and item.at - turn.last < DAY):
            # a turn never crosses a conversation boundary, and its deadline is at or before this message
            turn_counts.given_up(contact, turn, min(item.at, turn.last + rules.unanswered_after), measures)
            turn = None
        if not closing:
            turn_counts.conversation(contact, origin, measures)
    label = FIRST if origin else NEXT
    written = bursts.message_of(item, closing=closing)
    if turn is None:
        turn = bursts.begin([written], label, rules)
        turn.origin = origin if closing else 0
        contact.turns.append(turn)
        _drop_ended(contact)
        turn_counts.opened(contact, turn, measures)
        return
    bursts.join(contact, turn, written)
    if turn.closing and not closing:
        turn_counts.conversation(contact, turn.origin, measures)
        bursts.make_ordinary(turn, written, FIRST if turn.origin else label, rules)
        turn_counts.opened(contact, turn, measures)


def reply(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """Close open turns with a reply, unless it failed within its window or is not a reply after all."""
    record = message_log.find_record(contact.records, item.key)
    if record is not None:
        if record.applied or not record.is_reply:  # applied already: two contacts with this record were merged
            return
        record.applied = True
        record.answered = not record.failed and any(_is_open_at(turn, item.at) for turn in contact.turns)
        contact.records = message_log.put_record(contact.records, record)
        if record.failed:  # a failed reply does not count, so the turn stays open with its start
            _mark_failed(contact, item.at)
            return
    for turn in contact.turns.copy():
        if _is_open_at(turn, item.at):
            _close(contact, turn, item, ANSWERED, rules, measures)
    contact.last_reply_at = max(contact.last_reply_at, item.at)
    if item.actor == _HUMAN:
        handovers.answer(contact, item.at, measures)
    _drop_ended(contact)


def failed_attempt(contact: ContactState, item: Item, *_: object) -> None:
    """Record a refused or failed reply. Where only the failure is known, the price category decides."""
    record = message_log.find_record(contact.records, item.key) if item.key else None
    if record is None or (record.is_reply and not record.applied):
        _mark_failed(contact, item.at)


def dismiss(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """End open turns that need no reply."""
    for turn in contact.turns.copy():
        if _is_open_at(turn, item.at):
            _close(contact, turn, item, DISMISSED, rules, measures)
    _drop_ended(contact)


def resolve(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """Dismiss open turns and end the conversation. The next message starts another conversation."""
    dismiss(contact, item, rules, measures)
    contact.resolved_at = max(contact.resolved_at, item.at)
    if contact.last_message_at <= item.at:  # otherwise the call is known late, and the conversation has gone on
        contact.resolved = True


def revoke(contact: ContactState, item: Item, _: Rules, measures: Measurements) -> None:
    """Remove a deleted message. A turn without any message left is dismissed."""
    for turn in contact.turns:
        left = [message for message in turn.burst if message.key != item.key]
        if len(left) < len(turn.burst):
            turn.burst = left
            if not left and not turn.more:
                turn_counts.dismissed(contact, turn, item.at, measures)
                _drop_ended(contact)
            return


def fallback(contact: ContactState, _: Item, __: Rules, measures: Measurements) -> None:
    """Mark the latest turn as not understood, once per turn."""
    if not contact.turns:
        measures.count(catalogue.EVENTS_DROPPED, ("no_turn",))
    elif not contact.turns[-1].fallback:
        contact.turns[-1].fallback = True
        measures.count(catalogue.FALLBACKS, (contact.phone_number_id,))
        journeys.count_fallback(contact, measures)


def _is_open_at(turn: Turn, at: float) -> bool:
    return turn.outcome == OPEN and turn.start <= at


def _latest_open(contact: ContactState) -> Turn | None:
    for turn in reversed(contact.turns):
        if turn.outcome == OPEN:
            return turn
    return None


def _begins_conversation(contact: ContactState, at: float, last_message_at: float, *, closing: bool) -> bool:
    if contact.resolved:
        if at <= contact.resolved_at:
            return False
        if not closing:
            return True
    return not last_message_at or at - last_message_at >= DAY


def _close(contact: ContactState, turn: Turn, item: Item, outcome: int, rules: Rules, measures: Measurements) -> None:
    """End a turn with its messages up to `item`. Later messages form a new turn that waits on."""
    left = bursts.later_than(turn, item.at)
    if outcome == ANSWERED:
        turn_counts.answered(contact, turn, item, measures)
    else:
        turn_counts.dismissed(contact, turn, item.at, measures)
    if left:
        rest = bursts.begin(left, NEXT, rules)
        rest.failed, rest.failed_at, rest.more = turn.failed, turn.failed_at, turn.more
        contact.turns.append(rest)
        turn_counts.opened(contact, rest, measures)


def _mark_failed(contact: ContactState, at: float) -> None:
    for turn in contact.turns:
        if _is_open_at(turn, at):
            turn.failed = True
            turn.failed_at = max(turn.failed_at, at)


def _drop_ended(contact: ContactState) -> None:
    """Keep the latest turn, and other turns only while they are open."""
    if len(contact.turns) > 1:
        latest = contact.turns[-1]
        contact.turns = [turn for turn in contact.turns if turn.outcome == OPEN or turn is latest]
