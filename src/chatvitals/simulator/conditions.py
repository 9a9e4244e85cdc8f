"""The behaviour of the simulated WhatsApp for a while: refused sends and the delivery of webhooks."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The state of WhatsApp for a while. Shares are between 0 and 1, ranges are in seconds."""

    rejected: float = 0.0
    """Share of sends that the API refuses with an error of `errors`."""
    errors: tuple[tuple[int, int], ...] = ((503, 2), (500, 131000), (429, 130429))
    """HTTP status and Meta's code of refusals."""
    undelivered: float = 0.0
    """Share of accepted sends that fail afterwards and are not delivered."""
    delay: Range = (0.0, 0.0)
    """Delay before a webhook's POST starts."""
    disorder: float = 0.0
    """Share of updates that later updates overtake (up to a second late)."""
    duplicates: float = 0.0
    """Share of POSTs that are delivered a second time."""
    batch: float = 0.0
    """Seconds in which updates are collected into one POST. 0 sends each update alone."""
    sent: Range = (0.0, 0.15)
    delivered: Range = (0.15, 0.6)
    read: Range = (0.6, 1.5)
    """Delays of the statuses after the acceptance of a send."""
    unread: float = 0.25
    """Share of messages that are never reported as read."""
