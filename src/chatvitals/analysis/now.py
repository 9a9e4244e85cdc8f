"""The situation now, and at most five useful things to do, ranked by their cost in customers per week."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.analysis import experiment_comparison, experiment_counts
from chatvitals.analysis.errors import AnalysisError, printable
from chatvitals.analysis.figures import FigureReader
from chatvitals.analysis.history import DAY, HOUR, Grid, History, known_span
from chatvitals.analysis.numbers import Number, known_numbers
from chatvitals.analysis.periods import Period
from chatvitals.analysis.rating_changes import RATINGS
from chatvitals.analysis.statistics import newcombe
from chatvitals.analysis.wording import count, counted, percent, points, span
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.experiment_comparison import ExperimentResult
    from chatvitals.analysis.figures import Figures
    from chatvitals.analysis.prometheus_api import PrometheusApi

OBJECTIVE: Final = 0.95
"""The share of turns that should be answered within a minute. It is the default of `chatvitals assets`."""
MOST_TODOS: Final = 5
STALE_SECONDS: Final = 900.0
LATE_SECONDS: Final = 300.0
"""A customer who waits longer than this should get an answer at once."""
_WEEK: Final = 7 * DAY
_BUDGET_DAYS: Final = 30
_URGENT: Final = 1e6


@dataclass(slots=True)
class Todo:
    """One useful thing to do.

    Args:
        what: the advice as a sentence.
        cost: approximate number of customers that it costs in a week. Only the order matters.

    """

    what: str
    cost: float


@dataclass(slots=True)
class Situation:
    """The situation at one time.

    Args:
        at: time of the numbers, in Unix seconds.
        age: age of the numbers in seconds.
        ratings: rating by number. `UNKNOWN` where the rating is not known.
        polled: seconds since a rating was last confirmed. NaN where no rating was ever confirmed.
        waiting: number of customers who wait.
        oldest: the longest wait in seconds. NaN where nobody waits.
        firing: names of alerts that fire. None where no rules are loaded, or a store was read.
        todos: things to do, the most useful first.
        missing: data that is not measured.

    """

    at: float
    age: float
    ratings: dict[str, str] = field(default_factory=dict)
    polled: float = math.nan
    waiting: float = 0.0
    oldest: float = math.nan
    firing: list[str] | None = None
    todos: list[Todo] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, what: str, cost: float) -> None:
        """Add one useful thing to do."""
        self.todos.append(Todo(what, cost))

    def ranked(self) -> list[Todo]:
        """Return the five things to do that cost most."""
        return sorted(self.todos, key=lambda todo: -todo.cost)[:MOST_TODOS]


def from_prometheus(api: PrometheusApi, now: float) -> Situation:
    """Return the situation at a time.

    Raises:
        SourceUnavailableError: Prometheus cannot be read.
        TooLittleDataError: it holds no metrics of chatvitals.

    """
    first, _ = known_span(api, now)
    at = _newest(api, now)
    numbers = known_numbers(api, max(first, at - _BUDGET_DAYS * DAY), at)
    found = Situation(at, now - at)
    _lights(found, api, numbers)
    start = at - math.floor(min(at - first, _BUDGET_DAYS * DAY) / HOUR) * HOUR
    reader = FigureReader(History(api, Grid(start, HOUR, round((at - start) / HOUR) + 1)))
    recent, before = Period(max(at - _WEEK, start), at), Period(start, max(at - _WEEK, start))
    for number in numbers:
        sides = (reader.figures(number.id, [recent]), reader.figures(number.id, [before]))
        name = str(number) if len(numbers) > 1 else ""
        _from_figures(found, name, sides, reader.figures(number.id, [Period(start, at)]), (at - start) / DAY)
    _templates(found, api)
    _restrictions(found, api, now)
    for name in _experiments(api, at):
        try:
            result = experiment_comparison.judge(experiment_counts.from_prometheus(api, name, at))
        except AnalysisError:  # no contact has seen two variants yet
            continue
        add_experiment(found, result)
    if found.firing is None:
        found.missing.append("alerts: no rules of chatvitals are loaded (chatvitals assets writes them)")
    return found


def _newest(api: PrometheusApi, now: float) -> float:
    query = f"max (timestamp(last_over_time({catalogue.BUILD_INFO.name}[5m])))"
    found = api.query(query, now)
    if found:
        return now
    return known_span(api, now)[1]


def _lights(found: Situation, api: PrometheusApi, numbers: list[Number]) -> None:
    at = found.at
    ratings = {
        series.labels.get(catalogue.NUMBER, ""): RATINGS.get(round(series.last), "UNKNOWN")
        for series in api.query(f"max by (phone_number_id) ({catalogue.QUALITY_RATING.name})", at)
    }
    found.ratings = {str(number): ratings.get(number.id, "UNKNOWN") for number in numbers}
    polled = api.query(f"min ({catalogue.QUALITY_UPDATED.name})", at)
    found.polled = at + found.age - polled[0].last if polled else math.nan
    labels = ", ".join((*catalogue.TURNS_OPEN.all_labels, "job"))
    open_now = api.query(f"sum (max by ({labels}) ({catalogue.TURNS_OPEN.name}))", at)
    found.waiting = open_now[0].last if open_now else 0.0
    oldest = api.query(f"min ({catalogue.OLDEST_OPEN_TURN.name})", at)
    found.oldest = at - oldest[0].last if oldest and found.waiting else math.nan
    firing = api.query('count by (alertname) (ALERTS{alertname=~"WhatsApp.*",alertstate="firing"})', at)
    loaded = api.query('count ({__name__=~"phone_number_id:chatvitals_.*"})', at)
    if firing or loaded:
        found.firing = sorted(printable(series.labels["alertname"]) for series in firing)
    add_lights(found)


def add_lights(found: Situation) -> None:
    """Add the things to do that follow from rating, waits and alerts, and list the missing data."""
    if found.waiting and found.oldest > LATE_SECONDS:
        who = counted(found.waiting, "customer waits", "customers wait")
        found.add(f"Answer now: {who}, the longest for {span(found.oldest)}.", _URGENT * 3)
    for name, rating in found.ratings.items():
        if rating in {"YELLOW", "RED"}:
            found.add(f"{name} is rated {rating}: see what moved before (chatvitals report --drop last).", _URGENT * 2)
    if any(rating == "UNKNOWN" for rating in found.ratings.values()) or not found.ratings:
        found.missing.append("the rating of some numbers: it needs a poller (vitals.watch_quality)")
    found.missing.append("blocks and reports: WhatsApp does not publish them")
    for alert in found.firing or []:
        found.add(f"Alert {alert} fires: its runbook says what to do.", _URGENT)


def _from_figures(found: Situation, number: str, sides: tuple[Figures, Figures], month: Figures, days: float) -> None:
    """Compare the last week with the weeks before, and the month with the objective."""
    recent, before = sides
    at = f" at {number}" if number else ""
    lost = _worst_step(recent, before)
    if lost is not None:
        (journey, step), now, usual, more = lost
        found.add(
            f"{printable(journey)}/{printable(step)} loses {percent(now)} of the runs{at} ({percent(usual)} is usual): "
            f"see chatvitals report journey {printable(journey)}.",
            more,
        )
    if recent.no_answer.count >= 1:
        found.add(
            f"{counted(recent.no_answer.count, 'turn')} had no answer in the last week{at} "
            f"({percent(recent.no_answer.value)}): see chatvitals report unanswered.",
            recent.no_answer.count,
        )
    for label, now_share, usual_share, good in (
        ("read share", recent.read, before.read, True), ("opt-outs", recent.opt_outs, before.opt_outs, False),
    ):  # fmt: skip
        change = newcombe(now_share, usual_share)
        if usual_share.total and change.direction == (-1 if good else 1):
            found.add(
                f"The {label}{at} got worse in the last week: {points(change.value * (1 if good else 10))} "
                f"{'points' if good else 'per 1,000'} (chatvitals report templates).",
                abs(change.value) * now_share.total * (0.1 if good else 1.0),
            )
    budget = month.over_minute.value / (1 - OBJECTIVE)
    if budget > 1:
        over = month.over_minute.count - (1 - OBJECTIVE) * month.over_minute.total
        recovered = recent.over_minute.value <= 1 - OBJECTIVE
        found.add(
            f"Over {counted(days, 'day')}, {percent(month.over_minute.value)} waited over a minute{at}. "
            f"The budget is {percent(1 - OBJECTIVE)}. Last week: {percent(recent.over_minute.value)}, "
            + ("so the cause seems to be mended." if recovered else "so see chatvitals report unanswered."),
            over / max(days, 1) / 7 if recovered else over / max(days / 7, 1),
        )


def _worst_step(recent: Figures, before: Figures) -> tuple[tuple[str, str], float, float, float] | None:
    """Return the step that clearly lost more runs than usual. With several, the largest loss counts."""
    found = []
    for key, share in recent.left_at.items():
        usual = before.left_at.get(key)
        if usual is not None and usual.total and newcombe(share, usual).direction > 0:
            found.append((key, share.value, usual.value, (share.value - usual.value) * share.total))
    return max(found, key=lambda each: each[3], default=None)


def _templates(found: Situation, api: PrometheusApi) -> None:
    query = f"min by (template) (({catalogue.TEMPLATE_QUALITY.name} > 0) < 3)"
    for series in api.query(query, found.at):
        rating = RATINGS[round(series.last)]
        found.add(f"Template {printable(series.labels['template'])} is {rating}: pause its campaigns.", _URGENT / 2)


def _restrictions(found: Situation, api: PrometheusApi, now: float) -> None:
    query = f"max by (restriction) ({catalogue.RESTRICTION_EXPIRES.name}) > {now:.0f}"
    for series in api.query(query, found.at):
        found.add(f"WhatsApp restricts the account: {printable(series.labels.get('restriction', ''))}.", _URGENT * 2.5)


def _experiments(api: PrometheusApi, at: float) -> list[str]:
    query = f"count by (experiment) (increase({catalogue.EXPERIMENT_CONTACTS.name}[1d]) > 0)"
    return sorted(series.labels["experiment"] for series in api.query(query, at) if series.labels.get("experiment"))


def add_experiment(found: Situation, result: ExperimentResult) -> None:
    """Add the advice that follows from an experiment."""
    name = printable(result.name)
    see = f"(chatvitals compare {name})"
    best = next(each for each in result.against if each.variant == result.best)
    weekly = result.contacts / result.days * 7 if result.days > 0 else result.contacts
    if result.verdict == "split broken":
        found.add(f"Experiment {name} loses contacts of one variant: repair it {see}.", weekly / 2)
    elif result.verdict in {"better", "worse"}:
        winner = best.variant if result.verdict == "better" else result.control
        found.add(f"Experiment {name} is decided: keep {printable(winner)} {see}.", abs(best.goal.value) * weekly / 2)
    elif result.verdict == "no difference":
        found.add(f"Experiment {name} shows no difference that matters: stop it {see}.", 1.0)
    else:
        rate = result.contacts / result.days if result.days > 0 else math.nan
        more = (best.needed - result.contacts) / rate if rate > 0 and math.isfinite(best.needed) else math.nan
        when = f", about {counted(math.ceil(more), 'day')} more" if 0 < more <= 365 else ""
        found.add(f"Experiment {name}: no conclusion yet{when} {see}.", 0.5)
    for rail in best.guardrails:
        if rail.worse:
            words = experiment_comparison.GUARDRAILS[rail.outcome]
            found.add(f"Experiment {name}: {printable(best.variant)} does harm, {words} {see}.", weekly)


def lights(found: Situation) -> list[str]:
    """Return rating, waits and alerts as sentences."""
    ratings = sorted(set(found.ratings.values())) or ["UNKNOWN"]
    if len(ratings) == 1:
        rating = f"Rating: {ratings[0]}" + (" (all numbers)" if len(found.ratings) > 1 else "")
    else:
        rating = "Rating: " + ", ".join(f"{name} {rating}" for name, rating in found.ratings.items())
    if not math.isnan(found.polled):
        rating += f", confirmed {span(max(found.polled, 0.0))} ago"
    waiting = counted(found.waiting, "customer waits", "customers wait") if found.waiting else "nobody waits"
    if not math.isnan(found.oldest):
        waiting += f", the longest for {span(found.oldest)}" if found.oldest >= 60 else f", for {count(found.oldest)} s"
    firing = "not known" if found.firing is None else ", ".join(found.firing) or "none fires"
    said = [f"{rating}.", f"Waiting: {waiting}.", f"Alerts: {firing}."]
    if found.age > STALE_SECONDS:
        said.insert(0, f"The newest numbers are {span(found.age)} old. Does Prometheus scrape the bot?")
    return said
