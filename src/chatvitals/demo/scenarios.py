"""Scenarios: how the bot thinks, how customers behave, and what goes wrong between them, and when."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from chatvitals.simulator.conditions import Conditions, Range

USUAL_DURATION = 60.0
"""To how many seconds the phases of a run are scaled that has no end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One way a day can go."""

    name: str
    about: str
    think: tuple[Range, ...]
    """How long the bot thinks: one of these ranges (seconds) per answer, equally likely."""
    later: tuple[Range, ...] = ()
    """How long it thinks when a third of the run is over; empty where nothing changes."""
    blocks: float = 0.0
    """Share of those who leave unanswered who block the number; above 0, WhatsApp rates the number."""
    shortest: float = 0.0
    """The seconds that its story takes at least."""
    arrivals: float = 2.0
    """Customers who come per second."""
    patience: Range = (15.0, 30.0)
    """How long a customer waits before leaving, in seconds."""
    normal: Conditions = field(default_factory=Conditions)
    trouble: Conditions | None = None
    trouble_between: Range = (0.0, 0.0)
    """From which second to which of every `cycle` there is trouble."""
    cycle: float = 30.0
    culprit: str = "Slow answers"
    """What costs orders here, at the beginning of a sentence."""

    def outcome(self, lost: int, paid: int) -> str:
        """Return what happened, as a sentence: orders that were lost since nobody answered, and that were paid."""
        orders = "order" if paid == 1 else "orders"
        if not lost:
            return f"Nobody left without an answer; {paid} {orders} paid for."
        cost = "order" if lost == 1 else "orders"
        return f"{self.culprit} cost {lost} {cost}: so many customers gave up. {paid} {orders} paid for."

    @property
    def rated(self) -> bool:
        """Whether WhatsApp rates the number."""
        return self.blocks > 0

    def slows_at(self, duration: float | None) -> float:
        """Return the second from which on the bot thinks longer; infinity where it never does."""
        return (duration or USUAL_DURATION) / 3 if self.later else math.inf

    def reviewed_every(self, duration: float | None) -> float:
        """Return the seconds between two reviews of the rating; polls and scrapes need three to see each step."""
        return max((duration or USUAL_DURATION) / 12, 3.0)

    def troubled(self, elapsed: float) -> bool:
        """Return whether there is trouble `elapsed` seconds after the start."""
        start, end = self.trouble_between
        return self.trouble is not None and start <= elapsed % self.cycle < end

    def conditions(self, elapsed: float) -> Conditions:
        """Return what WhatsApp is like `elapsed` seconds after the start."""
        if self.trouble is not None and self.troubled(elapsed):
            return self.trouble
        return self.normal


CALM = Scenario(name="calm", about="the bot answers within a second or two", think=((0.5, 1.5),))

SLOW = Scenario(
    name="slow",
    about="one answer in four takes 5 to 20 s, and customers get impatient",
    think=((0.5, 1.5), (0.5, 1.5), (0.5, 1.5), (5.0, 20.0)),
    patience=(3.0, 8.0),
    normal=Conditions(batch=0.1),
)

OUTAGE = Scenario(
    name="outage",
    culprit="The outage",
    about="for 8 s of every 30 the API refuses most sends, and webhooks come late, twice and out of order",
    think=((0.5, 1.5),),
    patience=(4.0, 8.0),
    normal=Conditions(duplicates=0.02),
    trouble=Conditions(
        rejected=0.8,
        undelivered=0.1,
        delay=(0.0, 1.5),
        disorder=0.3,
        duplicates=0.4,
        batch=0.25,
    ),
    trouble_between=(4.0, 12.0),
)

QUALITY_DROP = Scenario(
    name="quality-drop",
    about="a slow bot is blocked; its rating falls",
    think=((0.5, 1.5),),
    later=((0.5, 1.5), (4.0, 15.0), (4.0, 15.0), (4.0, 15.0)),
    blocks=0.6,
    shortest=36.0,
    patience=(3.0, 6.0),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (CALM, SLOW, OUTAGE, QUALITY_DROP)}
