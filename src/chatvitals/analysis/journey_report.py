"""Report on a journey: drop-off, confusing steps, moves back, completion."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from chatvitals.analysis import quantiles, statistics
from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.errors import TooLittleDataError, WrongNameError, listed, printable
from chatvitals.analysis.figures import apart, step_order
from chatvitals.analysis.history import FINEST, History, grid
from chatvitals.analysis.periods import Period
from chatvitals.analysis.statistics import Share
from chatvitals.analysis.wording import count, counted, interval, percent, points, seconds
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.history import Counts
    from chatvitals.analysis.scope import Scope

_MOST_WAYS: Final = 6
_OFTEN: Final = 0.02  # share of all moves from which a move back is listed


@dataclass(slots=True)
class Step:
    """One step in one period. NaN means not measured."""

    name: str
    ended: float
    dropped: Share
    visits: float
    loops: Share
    fallbacks: float
    messages: float
    median: float


class JourneyCounts:
    """The counters of one journey.

    Args:
        scope: time and numbers of the report.
        journey: name of the journey.
        periods: all periods that are going to be queried.

    Raises:
        WrongNameError: there is no such journey.

    """

    def __init__(self, scope: Scope, journey: str, periods: list[Period]) -> None:
        self.journey = journey
        self._ids = scope.ids
        bounds = [moment for period in periods for moment in (period.start, period.end)]
        self._history = History(scope.api, grid(bounds))
        self.runs: Counts = self._history.counts(catalogue.JOURNEY_RUNS, "phone_number_id journey outcome")
        names = self.runs.values("journey")
        if journey not in names:
            raise WrongNameError(f"there is no journey {printable(journey)}. There are: {listed(names)}")
        order = step_order(self._history)
        self._ended = self._of("journey_step_ended_total")
        known = self._ended.values("step") if self._ended else set()
        self.steps: list[str] = sorted(known, key=lambda step: (order.get((journey, step), math.inf), step))
        self._dropped = self._of("journey_step_dropped_total", " outcome")
        self._visits = self._of("journey_step_visits_total")
        self._loops = self._of("journey_step_loops_total")
        self._fallbacks = self._of("journey_step_fallbacks_total")
        self._messages = self._of("journey_step_messages_total")
        self._seconds = self._of("journey_step_seconds", " le")
        self.transitions: Counts | None = self._of("journey_transitions_total", " to_step", step="from_step")

    def completed(self, period: Period) -> Share:
        """Return the share of completed runs among all ended runs."""
        where = {"phone_number_id": self._ids, "journey": self.journey}
        return Share(
            self.runs.between(period.start, period.end, outcome="completed", **where),
            self.runs.between(period.start, period.end, **where),
        )

    def owed(self, period: Period) -> float:
        """Return the number of runs that customers left while the business owed an answer."""
        return self._count(self._dropped, period, outcome="abandoned_by_business")

    def step(self, name: str, period: Period) -> Step:
        """Return the counts of a step in a period."""
        ended = self._count(self._ended, period, step=name)
        dropped = self._count(self._dropped, period, step=name)
        upto = {} if self._seconds is None else {
            float(le): self._count(self._seconds, period, step=name, le=le) for le in self._seconds.values("le")
        }  # fmt: skip
        return Step(
            name,
            ended,
            Share(min(dropped, ended), ended),
            self._count(self._visits, period, step=name),
            Share(min(self._count(self._loops, period, step=name), ended), ended),
            self._count(self._fallbacks, period, step=name),
            self._count(self._messages, period, step=name),
            quantiles.histogram_quantile(apart(upto), 0.5),
        )

    def moves(self, period: Period) -> dict[tuple[str, str], float]:
        """Return moves by the steps before and after. The result is empty where moves are not measured."""
        if self.transitions is None:
            return {}
        pairs = {labels[1:] for labels in self.transitions.grown}
        return {
            (one, two): self._count(self.transitions, period, from_step=one, to_step=two) for one, two in sorted(pairs)
        }

    def _of(self, name: str, more: str = "", *, step: str = "step") -> Counts | None:
        family = catalogue.FAMILIES.get(f"chatvitals_{name}")
        if family is None:
            return None
        quoted = self.journey.replace("\\", "\\\\").replace('"', '\\"')
        found = self._history.counts(family, f"phone_number_id {step}{more}", f'journey="{quoted}"')
        return found if found.grown else None

    def _count(self, counts: Counts | None, period: Period, **where: str) -> float:
        if counts is None:
            return math.nan
        return counts.between(period.start, period.end, **{"phone_number_id": self._ids, **where})


def document(scope: Scope, journey: str, against: str | None) -> Document:
    """Return the report.

    Args:
        scope: time and numbers.
        journey: the journey.
        against: the period to compare with, as text. The default has the same length and ends where the period starts.

    Raises:
        TooLittleDataError: no run ended in the period, or the other period is not known.
        WrongNameError: there is no such journey, or the period cannot be understood.

    """
    period = scope.period
    before = _before(scope, against)
    counts = JourneyCounts(scope, journey, [period, *([before] if before else [])])
    done, usual = counts.completed(period), counts.completed(before) if before else Share(0, 0)
    if not done.total:
        raise TooLittleDataError(f"No run of {printable(journey)} ended between {_span(scope, period)}.")
    compared = f", compared with {_span(scope, before)}" if before else ""
    made = Document(f"{printable(journey)}, {_span(scope, period)}{compared}")
    steps = [counts.step(name, period) for name in counts.steps]
    earlier = [counts.step(name, before) for name in counts.steps] if before else []
    made.section("Where customers leave", _left_table(steps, earlier))
    made.section("Which step confuses", _confusion_table(steps), *_confusing(steps))
    moves = counts.moves(period)
    made.section("Ways in circles", *_circles(moves, counts))
    made.verdict = " ".join(_verdict(journey, done, usual, counts.owed(period), steps, earlier))
    made.data = {
        "completed": asdict(done), "before": asdict(usual), "steps": [asdict(step) for step in steps],
        "steps_before": [asdict(step) for step in earlier],
        "transitions": [{"from": one, "to": two, "moves": times} for (one, two), times in moves.items()],
    }  # fmt: skip
    return made


def _before(scope: Scope, against: str | None) -> Period | None:
    period = scope.period
    if against is not None:
        found = scope.calendar.period(against, "--against", period)
        if found.start < scope.known.start - FINEST or found.start >= scope.known.end:
            raise TooLittleDataError(
                f"--against: {_span(scope, found)} is not known. Prometheus holds {_span(scope, scope.known)}."
            )
        return found
    length = period.end - period.start
    return Period(period.start - length, period.start) if period.start - length >= scope.known.start else None


def _left_table(steps: list[Step], earlier: list[Step]) -> Table:
    table = Table(("step", "ended", "left there", "before", "change (95 %)", ""), title="Where customers leave",
                  text_columns=frozenset({5}))  # fmt: skip
    for index, step in enumerate(steps):
        cells = ("", "", "")
        if earlier and earlier[index].ended:
            change = statistics.newcombe(step.dropped, earlier[index].dropped)
            verdict = {1: "worse", -1: "better", 0: ""}[change.direction]
            cells = (
                percent(earlier[index].dropped.value), f"{points(change.value)} ({interval(change.low, change.high)})",
                verdict,
            )  # fmt: skip
        table.add(printable(step.name), count(step.ended), percent(step.dropped.value), *cells)
    return table


def _confusion_table(steps: list[Step]) -> Table:
    head = ("step", "entries", "not understood", "messages per entry", "went in a loop", "median time")
    table = Table(head, title="Which step confuses")
    for step in steps:
        confused = Share(step.fallbacks, step.visits)
        per_visit = step.messages / step.visits if step.visits else math.nan
        table.add(
            printable(step.name), count(step.visits),
            "not measured" if math.isnan(step.fallbacks) else percent(confused.value),
            "not measured" if math.isnan(per_visit) else f"{per_visit:.2f}",
            percent(step.loops.value), seconds(step.median),
        )  # fmt: skip
    return table


def _confusing(steps: list[Step]) -> list[str]:
    """Name the step that is clearly less understood than all others together."""
    measured = [step for step in steps if not math.isnan(step.fallbacks) and step.visits]
    if len(measured) < 2:
        return []
    worst = max(measured, key=lambda step: step.fallbacks / step.visits)
    others = Share(
        sum(s.fallbacks for s in measured if s is not worst), sum(s.visits for s in measured if s is not worst)
    )
    own = Share(min(worst.fallbacks, worst.visits), worst.visits)
    if statistics.newcombe(own, Share(min(others.count, others.total), others.total)).direction > 0:
        return [f"{printable(worst.name)} confuses most: try another wording, or split the question."]
    return ["No step is clearly less understood than the others."]


def _circles(moves: dict[tuple[str, str], float], counts: JourneyCounts) -> list[str]:
    """Return the most frequent moves back or on the spot."""
    if not moves:
        return ["not measured: transitions between steps need a newer bot"]
    place = {step: index for index, step in enumerate(counts.steps)}
    total = sum(moves.values())
    back = [
        (times, one, two)
        for (one, two), times in moves.items()
        if one in place and two in place and place[two] <= place[one] and total and times / total >= _OFTEN
    ]
    said = []
    for times, one, two in sorted(back, reverse=True)[:_MOST_WAYS]:
        way = f"{printable(one)} again" if one == two else f"{printable(one)} back to {printable(two)}"
        said.append(f"{way}: {counted(times, 'move')}, {percent(times / total)} of all")
    return said or ["Hardly any move leads back or stays at a step."]


def _verdict(journey: str, done: Share, usual: Share, owed: float, steps: list[Step], earlier: list[Step]) -> list[str]:
    runs = f"{count(done.count)} of {count(done.total)} ended runs"
    said = [f"{runs} of {printable(journey)} completed, {percent(done.value)}."]
    if usual.total:
        change = statistics.newcombe(done, usual)
        said[0] = said[0][:-1] + f" (before: {percent(usual.value)})."
        fewer = (usual.value - done.value) * done.total
        if change.direction < 0:
            said.append(f"About {count(fewer)} fewer than at the rate before.")
        elif change.direction == 0:
            said.append(f"No visible difference ({points(change.value)} points, {interval(change.low, change.high)}).")
    if owed:
        said.append(f"{count(owed)} left while we owed them an answer.")
    worse = [
        step.name
        for step, old in zip(steps, earlier, strict=False)
        if old.ended and statistics.newcombe(step.dropped, old.dropped).direction > 0
    ]
    if len(worse) > 1 and len(worse) >= len(steps) - 1:
        said.append("All steps lose more than before: look at the waiting rather than at one question.")
    elif worse:
        said.append(f"More customers leave at: {', '.join(printable(name) for name in worse)}.")
    return said


def _span(scope: Scope, period: Period) -> str:
    return f"{scope.calendar.write(period.start)} to {scope.calendar.write(period.end)}"
