"""The report on a fall of the rating, in sentences and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.history import DAY
from chatvitals.analysis.wording import count, counted, span

if TYPE_CHECKING:
    from chatvitals.analysis.drivers import Moved
    from chatvitals.analysis.periods import Calendar
    from chatvitals.analysis.rating_drop import DropReport

NO_PROOF: Final = "This is order in time and a control, not proof."
_MOST_ENTRIES: Final = 12


def document(report: DropReport, calendar: Calendar) -> Document:
    """Return the report as a document."""
    episode = report.episode
    made = Document(f"What moved before the rating fell: {episode.number}")
    path = ", ".join(f"{change.before} → {change.after} {calendar.write(change.at)}" for change in episode.changes)
    made.section("", path)
    named = [f"{calendar.write(e.at)}  {e.what}, {_ago(report, e.at)}" for e in report.meta[-_MOST_ENTRIES:]]
    made.section(
        "1 Named by Meta in the 14 days before", *(named or ["Nothing: no template, account or restriction event"])
    )
    running = ", ".join(report.running)
    quiet = f"{running}: the variants do not differ" if running else "No experiment ran"
    made.section("2 Your own experiments", *(report.experiments or [quiet]))
    timeline = [f"{calendar.write(e.at)}  {e.what}, {_ago(report, e.at)}" for e in report.timeline[-_MOST_ENTRIES:]]
    made.section("3 Timeline of the 14 days before", *(timeline or ["Nothing: no deploy, no new template, no outage"]))
    made.section(f"4 Drivers, {_window(report)}", driver_table(report.drivers, "Drivers"))
    made.section("5 Control: the other numbers at the same time", *_controls(report))
    made.section("What it cost", *_cost(report, calendar))
    made.verdict = verdict(report, calendar)
    made.data = {
        "number": str(episode.number),
        "changes": msgspec.to_builtins(episode.changes),
        "meta": msgspec.to_builtins(report.meta),
        "experiments": report.experiments,
        "timeline": msgspec.to_builtins(report.timeline),
        "drivers": msgspec.to_builtins(report.drivers),
        "controls": {str(number): msgspec.to_builtins(drivers) for number, drivers in report.controls},
        "cost": msgspec.to_builtins(report.cost),
    }
    return made


def no_fall(days: float, numbers: int) -> Document:
    """Return the answer for the case that no rating fell."""
    made = Document("What moved before the rating fell")
    where = counted(numbers, "number")
    made.verdict = f"No rating fell in the last {counted(days, 'day')}, at {where}. There is nothing to explain."
    made.data = {"drivers": [], "changes": []}
    return made


def driver_table(drivers: list[Moved], title: str) -> Table:
    """Return the drivers as a table."""
    table = Table(("driver", "before the fall", "usual", "rank", ""), title=title, text_columns=frozenset({4}))
    for each in drivers:
        late = " (known a day later)" if each.late else ""
        verdict_text = each.verdict.upper() if each.verdict in {"moved up", "moved down"} else each.verdict
        table.add(each.driver, *each.shown, f"{each.rank} of {each.windows}", verdict_text + late)
    return table


def moved_names(drivers: list[Moved]) -> list[str]:
    """Return the drivers that clearly moved, with their direction."""
    return [
        f"{each.driver} ({each.verdict.removeprefix('moved ')})"
        for each in drivers
        if each.verdict in {"moved up", "moved down"}
    ]


def verdict(report: DropReport, calendar: Calendar) -> str:
    """Return the answer in a few sentences."""
    found = moved_names(report.drivers)
    if not found:
        return f"None of the eight drivers clearly moved before the fall. {NO_PROOF}"
    deploys = [entry for entry in report.timeline if entry.kind == "deploy"]
    after = f" after {deploys[-1].what} ({calendar.write(deploys[-1].at)}) and" if deploys else ""
    quiet = [str(number) for number, drivers in report.controls if not moved_names(drivers)]
    control = f" At {' and '.join(quiet)} nothing moved at the same time." if quiet else ""
    return f"Moved{after} before the fall: {', '.join(found)}.{control} {NO_PROOF}"


def _ago(report: DropReport, at: float) -> str:
    return f"{span(report.episode.at - at)} before"


def _window(report: DropReport) -> str:
    days = (report.episode.at - report.known.start) / DAY
    if days >= 21:
        return "7 days before the fall against earlier weeks"
    return f"24 h before the fall against the {counted(math.floor(days) - 1, 'day')} before"


def _controls(report: DropReport) -> list[str]:
    if not report.controls:
        return ["There is no other number to compare with."]
    said = []
    for number, drivers in report.controls:
        found = moved_names(drivers)
        said.append(f"{number}: {', '.join(found) + ' moved as well' if found else 'nothing moved'}")
    return said


def _cost(report: DropReport, calendar: Calendar) -> list[str]:
    cost = report.cost
    said = [f"{calendar.write(cost.span.start)} to {calendar.write(cost.span.end)}: {cost.reason}"]
    if not math.isnan(cost.runs_lost):
        fewer = f"about {count(cost.runs_lost)} orders or other journeys fewer than at the usual rate"
        said.append(fewer if cost.runs_lost >= 1 else "no journey fewer than at the usual rate")
    usual = "" if math.isnan(cost.usual_opt_outs) else f" (about {count(cost.usual_opt_outs)} are usual in that time)"
    said.append(f"{counted(cost.opt_outs, 'opt-out')}{usual}")
    said.append(f"{counted(cost.no_answer, 'question')} without an answer")
    return said
