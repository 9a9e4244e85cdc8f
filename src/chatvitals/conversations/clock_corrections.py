"""Repair of a contact whose times a wrong clock has set far ahead.

A contact's times are those of its workers' clocks. After a clock has run ahead for a while, all messages would lie
before the contact's last reply. They would open no turn until the clock gets there again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatvitals.conversations.state import ContactState

SET_BACK: Final = 3600.0
"""Seconds by which a stored time must lie ahead of this process's clock to prove that a clock was wrong.

An event that waited in a queue proves nothing, because a queue waits for as long as the store is away.
"""

_BEFORE: Final = 60.0  # seconds, in which a message that comes now may have been written


def pull_back(contact: ContactState, now: float) -> None:
    """Let everything that lies in the future have happened a minute ago. Open turns and runs stay open.

    Args:
        contact: the contact, which is changed.
        now: the right time in Unix seconds.

    """
    most = now - _BEFORE
    contact.last_received_at = min(contact.last_received_at, most)
    contact.last_message_at = min(contact.last_message_at, most)
    contact.last_reply_at = min(contact.last_reply_at, most)
    contact.resolved_at = min(contact.resolved_at, most)
    contact.handovers = tuple(min(since, most) for since in contact.handovers)
    for item in contact.pending:
        item.received, item.at = min(item.received, most), min(item.at, most)
    for turn in contact.turns:
        turn.start, turn.last = min(turn.start, most), min(turn.last, most)
        turn.failed_at, turn.ended = min(turn.failed_at, most), min(turn.ended, most)
        for message in turn.burst:
            message.at = min(message.at, most)
    for run in contact.runs:
        run.started, run.entered, run.active = (min(at, most) for at in (run.started, run.entered, run.active))
