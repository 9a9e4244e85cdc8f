"""Turns, conversations and handovers: apply an item or a timer when it is due (conversations/README.md 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations import experiments, journeys, message_log
from chatvitals.conversations.state import (
    ACTOR_LABELS,
    ANSWERED,
    DAY,
    DISMISSED,
    EVIDENCE_LABELS,
    FAILED,
    HOURS_LABELS,
    MESSAGES_KEPT,
    NEW_AFTER,
    OPEN,
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

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Measurements

_HUMAN = ACTOR_LABELS.index("human")


def next_timer(contact: ContactState, rules: Rules) -> float | None:
    """Return when the earliest timer of an open turn strikes: an overdue threshold or the deadline."""
    earliest: float | None = None
    for turn in contact.turns:
        if turn.outcome == OPEN:
            point = turn.last + rules.unanswered_after
            if turn.overdue < len(rules.overdue_after):
                crossing = turn.start + rules.overdue_after[turn.overdue]
                if crossing < point:  # noqa: PLR1730 - `min` is a call, and this is hot
                    point = crossing
            if earliest is None or point < earliest:
                earliest = point
    return earliest


def fire_timers(contact: ContactState, at: float, rules: Rules, measures: Measurements) -> None:
    """Apply the timers of open turns that strike at `at`: the age crosses a threshold, or the deadline has come."""
    for turn in contact.turns:
        if turn.outcome != OPEN:
            continue
        while turn.overdue < len(rules.overdue_after) and turn.start + rules.overdue_after[turn.overdue] <= at:
            measures.count(
                catalogue.TURNS_OVERDUE,
                (contact.phone_number_id, TURN_LABELS[turn.label], rules.threshold_label(turn.overdue)),
            )
            turn.overdue += 1
        if turn.last + rules.unanswered_after <= at:
            _end_unanswered(contact, turn, turn.last + rules.unanswered_after, measures)
    _drop_ended(contact)


def message(contact: ContactState, item: Item, rules: Rules, measures: Measurements) -> None:
    """Open a turn, join the open one, or join a closed one silently (it was written before the last reply)."""
    journeys.activity(contact, item.at, measures)
    if item.at <= contact.answered_until:
        return
    starts_conversation = contact.resolved or not contact.last_message_at or item.at - contact.last_message_at >= DAY
    turn = _latest_open(contact)
    if starts_conversation:
        if turn is not None:  # a turn never crosses a conversation boundary; its deadline is at or before this message
            _end_unanswered(contact, turn, min(item.at, turn.last + rules.unanswered_after), measures)
            turn = None
        _start_conversation(contact, item.at, measures)
    if turn is not None:
        _join(turn, item)
    else:
        _open(contact, item, rules, measures, label=0 if starts_conversation else 1)
    contact.last_message_at = max(contact.last_message_at, item.at)


def reply(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Close what is open with a reply, unless it failed within its window or was a campaign after all."""
    record = message_log.find_record(contact.records, item.key)
    if record is not None:
        if record.applied:  # two contacts that knew of it have become one
            return
        record.applied = True
        record.replied = not record.failed and record.kind in {message_log.UNKNOWN, message_log.REPLY}
        contact.records = message_log.put_record(contact.records, record)
        if record.failed and record.kind in {message_log.UNKNOWN, message_log.REPLY}:
            for turn in contact.turns:  # it never was a reply: the turn stays open with its start
                turn.failed = turn.failed or (turn.outcome == OPEN and turn.start <= item.at)
        if not record.replied:
            return
    for turn in contact.turns:
        if turn.outcome == OPEN and turn.start <= item.at:
            _answer(contact, turn, item, measures)
    contact.answered_until = max(contact.answered_until, item.at)
    if item.actor == _HUMAN:
        _answer_handovers(contact, item.at, measures)
    _drop_ended(contact)


def dismiss(contact: ContactState, item: Item, measures: Measurements) -> None:
    """End what is open as needing no reply."""
    for turn in contact.turns:
        if turn.outcome == OPEN and turn.start <= item.at:
            _end(contact, turn, DISMISSED, item.at, measures)
            _observe_wait(contact, turn, item.at - turn.start, measures)
    _drop_ended(contact)


def resolve(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Dismiss what is open and end the conversation: the next message starts another one."""
    dismiss(contact, item, measures)
    contact.resolved = True
    contact.answered_until = max(contact.answered_until, item.at)


def revoke(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Forget a deleted message; a turn that has none left is dismissed."""
    for turn in contact.turns:
        if turn.outcome == OPEN and item.key in turn.messages:
            turn.messages.remove(item.key)
            if not turn.messages and not turn.more:
                dismiss(contact, item, measures)
            return


def fallback(contact: ContactState, _: Item, measures: Measurements) -> None:
    """Mark the latest turn as not understood, once per turn."""
    if not contact.turns:
        measures.count(catalogue.EVENTS_DROPPED, ("no_turn",))
    elif not contact.turns[-1].fallback:
        contact.turns[-1].fallback = True
        measures.count(catalogue.FALLBACKS, (contact.phone_number_id,))


def handover(contact: ContactState, item: Item, measures: Measurements) -> None:
    """Start waiting for a person, once per conversation."""
    if contact.handed_over:
        return
    contact.handed_over = True
    contact.handovers.append(item.at)
    measures.count(catalogue.HANDOVERS, (contact.phone_number_id,))
    measures.count(catalogue.HANDOVERS_OPEN, (contact.phone_number_id,))
    journeys.hand_over(contact, item.at, measures)
    experiments.outcome(contact, "handover", measures)


def drop_handovers(contact: ContactState, measures: Measurements) -> None:
    """Stop waiting for a person: a new conversation began, or the contact is forgotten."""
    if contact.handovers:
        measures.count(catalogue.HANDOVERS_OPEN, (contact.phone_number_id,), -len(contact.handovers))
        contact.handovers = []


def _latest_open(contact: ContactState) -> Turn | None:
    for turn in reversed(contact.turns):
        if turn.outcome == OPEN:
            return turn
    return None


def _start_conversation(contact: ContactState, at: float, measures: Measurements) -> None:
    origin = "returning" if contact.last_message_at and at - contact.last_message_at < NEW_AFTER else "new"
    measures.count(catalogue.CONVERSATIONS_STARTED, (contact.phone_number_id, origin))
    contact.resolved = False
    contact.handed_over = False
    drop_handovers(contact, measures)


def _open(contact: ContactState, item: Item, rules: Rules, measures: Measurements, *, label: int) -> None:
    hours = 0 if rules.in_hours is None else 1 if rules.in_hours(item.at) else 2
    turn = Turn(start=item.at, second=item.second, last=item.at, label=label, hours=hours, messages=[item.key])
    contact.turns.append(turn)
    _drop_ended(contact)
    measures.count(catalogue.TURNS_OPENED, _turn_labels(contact, turn))
    measures.count(catalogue.TURNS_OPEN, (contact.phone_number_id,))


def _join(turn: Turn, item: Item) -> None:
    if item.at < turn.start and turn.last - item.at < DAY:  # late, and of this conversation: the start moves back
        turn.start = item.at
        turn.second = item.second
    turn.last = max(turn.last, item.at)
    if len(turn.messages) < MESSAGES_KEPT:
        turn.messages.append(item.key)
    else:
        turn.more = True


def _answer(contact: ContactState, turn: Turn, item: Item, measures: Measurements) -> None:
    if item.evidence >= Evidence.CODE:
        seconds = item.at - turn.start
    else:  # WhatsApp's second of the reply less WhatsApp's second of the message
        seconds = float(item.second - turn.second)
        if seconds < 0.0:
            measures.count(catalogue.CLOCK_SKEWS)
            seconds = 0.0
    _end(contact, turn, ANSWERED, item.at, measures)
    name = TURN_LABELS[turn.label]
    measures.observe(
        catalogue.RESPONSE_SECONDS,
        (
            contact.phone_number_id,
            name,
            ACTOR_LABELS[item.actor],
            EVIDENCE_LABELS[item.evidence],
            HOURS_LABELS[turn.hours],
        ),
        seconds,
    )
    _observe_wait(contact, turn, seconds, measures)


def _end_unanswered(contact: ContactState, turn: Turn, at: float, measures: Measurements) -> None:
    _end(contact, turn, FAILED if turn.failed else UNANSWERED, at, measures)
    measures.observe_endless(catalogue.WAIT_SECONDS, _turn_labels(contact, turn), at - turn.start)
    experiments.observe_wait(contact, at - turn.start, measures, answered=False)
    experiments.outcome(contact, "unanswered", measures)


def _end(contact: ContactState, turn: Turn, outcome: int, at: float, measures: Measurements) -> None:
    turn.outcome = outcome
    contact.answered_until = max(contact.answered_until, at)
    name, hours = TURN_LABELS[turn.label], HOURS_LABELS[turn.hours]
    measures.count(catalogue.TURNS, (contact.phone_number_id, name, OUTCOME_LABELS[outcome], hours))
    measures.count(catalogue.TURNS_OPEN, (contact.phone_number_id,), -1.0)
    turn.messages = []


def _observe_wait(contact: ContactState, turn: Turn, seconds: float, measures: Measurements) -> None:
    measures.observe(catalogue.WAIT_SECONDS, _turn_labels(contact, turn), seconds)
    experiments.observe_wait(contact, seconds, measures)


def _answer_handovers(contact: ContactState, at: float, measures: Measurements) -> None:
    answered = [since for since in contact.handovers if since <= at]
    for since in answered:
        measures.observe(catalogue.HUMAN_FIRST_RESPONSE, (contact.phone_number_id,), at - since)
        measures.count(catalogue.HANDOVERS_OPEN, (contact.phone_number_id,), -1.0)
    if answered:
        contact.handovers = [since for since in contact.handovers if since > at]


def _turn_labels(contact: ContactState, turn: Turn) -> tuple[str, ...]:
    return (contact.phone_number_id, TURN_LABELS[turn.label], HOURS_LABELS[turn.hours])


def _drop_ended(contact: ContactState) -> None:
    """Keep the latest turn, and others only while they are open."""
    if len(contact.turns) > 1:
        latest = contact.turns[-1]
        contact.turns = [turn for turn in contact.turns if turn.outcome == OPEN or turn is latest]
