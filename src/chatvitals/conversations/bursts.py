"""The messages of one turn: its start, and the messages that remain when an answer becomes known late."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from chatvitals.conversations.state import DAY, ContactState, Item, Rules, Turn, TurnMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGES_KEPT: Final = 256
"""Most messages of a turn that are kept. Of a longer burst, the first message and the latest messages are kept."""

_by_time = attrgetter("at")


def message_of(item: Item, *, closing: bool) -> TurnMessage:
    """Return an inbound message in the form that its turn stores."""
    return TurnMessage(item.key, item.at, item.second, closing)


def begin(messages: Sequence[TurnMessage], label: int, rules: Rules) -> Turn:
    """Return a turn of these messages. A turn of closing remarks alone waits for no reply."""
    ordinary = [message for message in messages if not message.closing]
    first = min(ordinary or messages, key=_by_time)
    return Turn(
        start=first.at,
        second=first.second,
        last=max(message.at for message in messages),
        label=label,
        hours=rules.hours_index(first.at),
        burst=list(messages),
        closing=not ordinary,
    )


def join(contact: ContactState, turn: Turn, message: TurnMessage) -> None:
    """Add a message to an open turn. A late message of the same conversation moves the turn's start back."""
    same_conversation = _is_same_conversation(contact, turn, message.at)
    turn.last = max(turn.last, message.at)
    if len(turn.burst) >= MESSAGES_KEPT:
        del turn.burst[1]
        turn.more = True
    turn.burst.append(message)
    if message.at < turn.start and same_conversation and (turn.closing or not message.closing):
        turn.start, turn.second = message.at, message.second


def make_ordinary(turn: Turn, message: TurnMessage, label: int, rules: Rules) -> None:
    """Make a turn of closing remarks an ordinary turn. It starts with `message` and takes its labels from it."""
    turn.closing = False
    turn.start, turn.second = message.at, message.second
    turn.label, turn.hours = label, rules.hours_index(message.at)
    turn.failed = turn.failed_at >= turn.start


def later_than(turn: Turn, at: float) -> list[TurnMessage]:
    """Return the messages that were written after `at`."""
    return [message for message in turn.burst if message.at > at]


def _is_same_conversation(contact: ContactState, turn: Turn, at: float) -> bool:
    if at <= contact.resolved_at < turn.start:
        return False
    return min(map(_by_time, turn.burst), default=turn.start) - at < DAY
