"""What alerts are worth: pages, warnings, precision and delay, over months."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.simulator.months import DAYS, MONTHS
from chatvitals.simulator.story import DAY, HOUR

if TYPE_CHECKING:
    from tests.months.episodes import Episode

AFTERMATH: Final = 36 * HOUR
"""An alert that begins within this time after an incident is about it: abandoned runs end a day later."""


@dataclass(slots=True)
class Verdict:
    """What one month shows."""

    name: str
    begins: float
    ends: float
    found: list[Episode]
    days: float = DAYS

    def of(self, severity: str) -> list[Episode]:
        """Return the episodes of a severity."""
        return [each for each in self.found if each.severity == severity]

    def is_right(self, episode: Episode) -> bool:
        """Return whether an episode is about the month's incident."""
        return self.begins <= episode.begins <= self.ends + AFTERMATH

    def false_pages(self) -> int:
        """Return how many pages were about nothing."""
        return sum(not self.is_right(each) for each in self.of("critical"))

    def false_warnings_a_day(self) -> float:
        """Return how many warnings a day were about nothing."""
        return sum(not self.is_right(each) for each in self.of("warning")) / self.days

    def delay(self, severity: str) -> float | None:
        """Return the hours from the incident to its first alert of a severity, or None."""
        first = [each.begins - self.begins for each in self.of(severity) if self.is_right(each)]
        return min(first) / HOUR if first else None


@dataclass(slots=True)
class Record:
    """What one alert was worth over all months."""

    right: int = 0
    false: int = 0
    delays: list[float] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Return the share of its episodes that were about an incident."""
        return self.right / (self.right + self.false)


def by_alert(verdicts: list[Verdict]) -> dict[str, Record]:
    """Return each alert's record. Alerts of severity info notify nobody and are left out."""
    records: dict[str, Record] = {}
    for verdict in verdicts:
        seen = set()
        for episode in verdict.found:
            if episode.severity == "info":
                continue
            record = records.setdefault(episode.alert, Record())
            if not verdict.is_right(episode):
                record.false += 1
                continue
            record.right += 1
            if episode.alert not in seen:
                record.delays.append((episode.begins - verdict.begins) / HOUR)
            seen.add(episode.alert)
    return records


def table(verdicts: list[Verdict]) -> str:
    """Return the tables of months and of alerts as Markdown."""
    lines = ["| month | what | pages | warnings a day | first page | first warning |", "|---|---|---|---|---|---|"]
    for verdict in verdicts:
        plan = MONTHS[verdict.name]
        wanted = " (wanted)" if plan.incident and plan.incident.pages else ""
        pages, warnings = len(verdict.of("critical")), len(verdict.of("warning")) / verdict.days
        first, warned = (_hours(verdict.delay(severity)) for severity in ("critical", "warning"))
        lines.append(f"| {verdict.name} | {plan.about} | {pages} | {warnings:.2f} | {first}{wanted} | {warned} |")
    lines += ["", "| alert | right | false | precision | median delay |", "|---|---|---|---|---|"]
    for name, record in sorted(by_alert(verdicts).items()):
        delay = _hours(statistics.median(record.delays) if record.delays else None)
        row = f"| {name} | {record.right} | {record.false} | {record.precision:.2f} | {delay} |"
        lines.append(row.replace("WhatsApp", ""))
    return "\n".join(lines) + "\n"


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} h"


def in_days(seconds: float, start: float) -> str:
    """Return a time as days after a start."""
    return f"{(seconds - start) / DAY:.2f} d"
