"""The state of a person in a plain reading of conversations/README.md: facts, messages, turns, runs, settings."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from chatvitals.testing.payloads import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DAY = 86_400.0


class Tie(Exception):  # noqa: N818 - no error
    """Two things happen at one moment. The page has no opinion about their order."""


class Count(Protocol):
    """Adds to a sample."""

    def __call__(self, name: str, value: float = 1, /, **labels: str) -> None:
        """Add `value`."""


@dataclass(eq=False)
class Fact:
    """Something received about a person."""

    received: float
    at: float
    what: str
    name: str = ""
    second: int = 0
    closing: bool = False
    evidence: str = ""
    actor: str = ""
    status: str = ""
    code: str = ""


@dataclass
class Outbound:
    """The facts about an outbound message, with their times."""

    kinds: list[tuple[float, str, str]] = field(default_factory=list)
    prices: list[tuple[float, str]] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    template: tuple[float, str, str] | None = None
    answered: bool = False
    decided: bool = False
    level: int = 0

    def is_reply(self, known_by: float) -> bool:
        """Follow the order of section 2."""
        known = [(source == "api", kind) for received, source, kind in self.kinds if received <= known_by]
        if known:
            return max(known, key=lambda entry: entry[0])[1] == "reply"
        return self.category(known_by).partition("_")[0] not in {"marketing", "utility", "authentication"}

    def category(self, known_by: float) -> str:
        """Return the first price seen."""
        return next((price for received, price in self.prices if received <= known_by), "unknown")


class Rules:
    """Settings and journeys of a scenario."""

    def __init__(self, settings: Mapping[str, Any], journeys: Sequence[Mapping[str, Any]]) -> None:
        self.window = settings.get("settle_after", 10.0)
        self.unanswered = settings.get("unanswered_after", DAY)
        self.thresholds = settings.get("overdue_after", [10.0, 60.0, 300.0, 3600.0])
        self.hours = settings.get("in_hours")
        self.journeys = {journey["name"]: journey for journey in journeys}

    def in_hours(self, at: float) -> str:
        """Return the label of a moment."""
        if self.hours is None:
            return ""
        local = datetime.fromtimestamp(EPOCH + at, zoneinfo.ZoneInfo(self.hours["timezone"]))
        day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[local.weekday()]
        now = f"{local:%H:%M}"
        return "yes" if any(start <= now < end for start, end in self.hours["days"].get(day, ())) else "no"

    def spans(self, journey: str) -> tuple[float, float, float]:
        """Return after which a run stalls, is abandoned and expires."""
        given = self.journeys[journey]
        return given.get("stalled_after", 1800), given.get("abandoned_after", DAY), given.get("expires_after", 7 * DAY)


@dataclass(eq=False)
class Turn:
    """A burst, and what became of it."""

    messages: list[Fact]
    start: float
    second: int
    label: str
    hours: str
    closing: bool
    last: float
    origin: str = ""
    crossed: int = 0
    failures: list[float] = field(default_factory=list)
    inherited: bool = False
    outcome: str = ""
    ended: float = 0.0
    fallback: bool = False


@dataclass(eq=False)
class Run:
    """A pass through a journey."""

    journey: str
    step: str
    started: float
    entered: float
    active: float
    stalled: bool = False
    entries: Counter[str] = field(default_factory=Counter)
