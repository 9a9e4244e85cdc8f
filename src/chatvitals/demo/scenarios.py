"""Scenarios of the demo: the bot's speed, the customers' behaviour, and the faults with their times."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from chatvitals.simulator.conditions import Conditions, Range

USUAL_DURATION = 60.0
"""Length in seconds to which the phases of an endless run are scaled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario."""

    name: str
    about: str
    think: tuple[Range, ...]
    """Thinking time of the bot. Each answer uses one of these ranges (seconds), equally likely."""
    later: tuple[Range, ...] = ()
    """Thinking time from a third of the run on. It is empty where nothing changes."""
    blocks: float = 0.0
    """Share of the customers that block the number when they leave unanswered. Above 0, WhatsApp rates the number."""
    shortest: float = 0.0
    """Least duration of the scenario in seconds."""
    arrivals: float = 2.0
    """Arriving customers per second."""
    patience: Range = (15.0, 30.0)
    """Seconds that a customer waits before leaving."""
    normal: Conditions = field(default_factory=Conditions)
    trouble: Conditions | None = None
    trouble_between: Range = (0.0, 0.0)
    """Start and end second of the trouble within every `cycle`."""
    cycle: float = 30.0
    culprit: str = "Slow answers"
    """The cause of lost orders, as the start of a sentence."""

    def outcome(self, lost: int, paid: int) -> str:
        """Return a sentence on the orders that were lost for lack of an answer, and the orders that were paid."""
        orders = "order" if paid == 1 else "orders"
        if not lost:
            return f"Nobody left without an answer. {paid} {orders} paid for."
        cost = "order" if lost == 1 else "orders"
        return f"{self.culprit} cost {lost} {cost}: so many customers gave up. {paid} {orders} paid for."

    @property
    def rated(self) -> bool:
        """Whether WhatsApp rates the number."""
        return self.blocks > 0

    def slows_at(self, duration: float | None) -> float:
        """Return the second from which the bot thinks longer, or infinity."""
        return (duration or USUAL_DURATION) / 3 if self.later else math.inf

    def reviewed_every(self, duration: float | None) -> float:
        """Return the seconds between two reviews of the rating. Polls and scrapes need three to see each step."""
        return max((duration or USUAL_DURATION) / 12, 3.0)

    def troubled(self, elapsed: float) -> bool:
        """Return whether there is trouble `elapsed` seconds after the start."""
        start, end = self.trouble_between
        return self.trouble is not None and start <= elapsed % self.cycle < end

    def conditions(self, elapsed: float) -> Conditions:
        """Return the state of WhatsApp `elapsed` seconds after the start."""
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
    about="a slow bot is blocked, and its rating falls",
    think=((0.5, 1.5),),
    later=((0.5, 1.5), (4.0, 15.0), (4.0, 15.0), (4.0, 15.0)),
    blocks=0.6,
    shortest=36.0,
    patience=(3.0, 6.0),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (CALM, SLOW, OUTAGE, QUALITY_DROP)}
