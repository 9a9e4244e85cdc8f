"""How WhatsApp behaves for a while: which sends it refuses, and how webhooks arrive."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What WhatsApp is like for a while. Shares lie between 0 and 1, ranges are seconds."""

    rejected: float = 0.0
    """Share of sends that the API refuses with one of `errors`."""
    errors: tuple[tuple[int, int], ...] = ((503, 2), (500, 131000), (429, 130429))
    """HTTP status and Meta's code of refusals."""
    undelivered: float = 0.0
    """Share of accepted sends that fail afterwards and reach nobody."""
    delay: Range = (0.0, 0.0)
    """How long a webhook lies about before its POST starts."""
    disorder: float = 0.0
    """Share of updates that are overtaken by later ones (up to a second late)."""
    duplicates: float = 0.0
    """Share of POSTs that are delivered a second time."""
    batch: float = 0.0
    """Seconds in which updates are gathered into one POST; 0 sends each alone."""
    sent: Range = (0.0, 0.15)
    delivered: Range = (0.15, 0.6)
    read: Range = (0.6, 1.5)
    """When the statuses follow the acceptance of a send."""
    unread: float = 0.25
    """Share of messages that are never reported as read."""
