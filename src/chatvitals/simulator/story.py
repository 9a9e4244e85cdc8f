"""Stories of two business numbers over a month: the time of each event, and the speed of bot and customers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

DAY: Final = 86_400.0
HOUR: Final = 3_600.0


@dataclass(frozen=True, slots=True)
class StoryLine:
    """A business number of the story, with its ids and its number of customers in the busiest hour."""

    number: str
    display: str
    name: str
    busiest: float
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The times of a story's events, as shares of the whole period, and the severity."""

    name: str
    about: str
    slow_from: float = 2.0  # never
    fixed_at: float = 2.0
    lines: tuple[StoryLine, ...] = (
        StoryLine("990005556667778", "15550001234", "Corner Bakery", 26.0, troubled=True),
        StoryLine("990005556667779", "15550001235", "Corner Bakery Events", 16.0),
    )
    waba: str = "990001112223334"
    campaign_size: int = 120

    def version(self, share: float) -> str:
        """Return the bot's version after this share of the period."""
        if share >= self.fixed_at:
            return "1.4.1"
        return "1.4.0" if share >= self.slow_from else "1.3.2"

    def is_slow(self, line: StoryLine, share: float) -> bool:
        """Return whether this number's answers are slow."""
        return line.troubled and self.slow_from <= share < self.fixed_at


STORIES: Final = {
    "quality-drop": Story(
        "quality-drop",
        "a deploy makes one number slow, customers leave and block, the rating falls, a fix follows, and it recovers",
        slow_from=0.42,
        fixed_at=0.7,
    ),
    "calm": Story("calm", "a quiet month"),
}


def arrivals_per_hour(busiest: float, at: float) -> float:
    """Return the number of customers per hour at `at`. A day has a noon and an evening peak, and Sundays are quiet."""
    hour = at % DAY / HOUR
    daily = 0.08 + 0.62 * math.exp(-(((hour - 12.5) / 2.6) ** 2)) + 0.92 * math.exp(-(((hour - 19.0) / 2.2) ** 2))
    weekday = int(at // DAY + 3) % 7  # the epoch was a Thursday
    return busiest * min(daily, 1.0) * (0.55 if weekday == 6 else 1.15 if weekday == 4 else 1.0)


def answer_seconds(random: Random, *, slow: bool) -> float:
    """Return the bot's time for an answer, in seconds."""
    if slow and random.random() < 0.45:
        return random.lognormvariate(math.log(150.0), 0.9)
    return random.lognormvariate(math.log(2.2), 0.7)


def patience_seconds(random: Random) -> float:
    """Return the time after which a customer stops waiting for an answer, in seconds."""
    return random.lognormvariate(math.log(240.0), 0.8)
