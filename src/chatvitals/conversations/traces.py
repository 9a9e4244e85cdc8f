"""The traces of a contact's open turns and waiting replies, as contexts of spans by the message's hash."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

from chatvitals.conversations.state import OPEN

if TYPE_CHECKING:
    from chatvitals.conversations.state import ContactState, Turn

_MOST_KEPT: Final = 16

_by_time = attrgetter("at")


def keep(contact: ContactState, key: int, trace: bytes) -> None:
    """Store the trace of a message. Empty bytes are ignored."""
    if trace and len(contact.traces) < _MOST_KEPT:
        contact.traces[key] = trace


def of_turn(contact: ContactState, turn: Turn) -> bytes:
    """Return the trace of the first message with a trace in an open turn, or empty bytes."""
    if not contact.traces:
        return b""
    for message in sorted(turn.burst, key=_by_time):
        if message.at >= turn.start and message.key in contact.traces:
            return contact.traces[message.key]
    return b""


def prune(contact: ContactState) -> None:
    """Delete traces whose message is neither in an open turn nor waiting."""
    needed = {item.key for item in contact.pending}
    for turn in contact.turns:
        if turn.outcome == OPEN:
            needed.update(message.key for message in turn.burst)
    contact.traces = {key: trace for key, trace in contact.traces.items() if key in needed}
