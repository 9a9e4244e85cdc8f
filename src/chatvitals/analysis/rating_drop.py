"""Report on what moved before a rating fell: events from Meta, experiments, a timeline, drivers and a control."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.analysis import experiment_counts
from chatvitals.analysis.deploys import deploys
from chatvitals.analysis.drivers import Moved, moved
from chatvitals.analysis.errors import AnalysisError, TooLittleDataError, WrongNameError
from chatvitals.analysis.event_log import EventLog, LogEntry
from chatvitals.analysis.figures import FigureReader
from chatvitals.analysis.history import DAY, HOUR, LONGEST_DAYS, Grid, History, fine_grid, known_span
from chatvitals.analysis.numbers import Number, chosen, known_numbers
from chatvitals.analysis.periods import Period
from chatvitals.analysis.rating_changes import Episode, episodes
from chatvitals.analysis.statistics import ConfidenceSequence, Share
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.periods import Calendar
    from chatvitals.analysis.prometheus_api import PrometheusApi

EVENT_DAYS: Final = 14
"""Days before the fall for which events are listed."""
_OUTCOMES: Final = {"opt_out": "opt-outs", "goal": "the goal", "unanswered": "no answer", "send_failed": "failed sends"}
_DEPLOY_DAYS: Final = 7


@dataclass(slots=True)
class Cost:
    """The cost of the time around the fall, compared with the same number's usual rates before it.

    Args:
        span: the period.
        reason: why this period was taken.
        runs_lost: runs that the usual rate would have completed in addition. NaN where no usual rate is known.
        opt_outs: opt-outs in that period.
        usual_opt_outs: opt-outs at the usual rate.
        no_answer: turns that ended without an answer.

    """

    span: Period
    reason: str
    runs_lost: float
    opt_outs: float
    usual_opt_outs: float
    no_answer: float


@dataclass(slots=True)
class DropReport:
    """All known facts about one fall.

    Args:
        episode: the fall.
        known: the period that the history covers.
        meta: events that Meta sent in the 14 days before the fall.
        experiments: sentences on experiments whose variants differ.
        running: names of the experiments that ran.
        timeline: dated changes of the bot in the same days.
        drivers: the eight drivers.
        controls: the drivers of every other number at the same time.
        cost: the cost of the fall.
        log: all events of the whole history, for charts.
        reader: all counters, for charts.

    """

    episode: Episode
    known: Period
    meta: list[LogEntry]
    experiments: list[str]
    running: list[str]
    timeline: list[LogEntry]
    drivers: list[Moved]
    controls: list[tuple[Number, list[Moved]]]
    cost: Cost
    log: list[LogEntry]
    reader: FigureReader = field(repr=False)


def find(
    api: PrometheusApi, calendar: Calendar, wanted: str, *, days: float = LONGEST_DAYS, number: str | None = None
) -> DropReport | None:
    """Return the report on a fall, or None where no rating fell in the known time.

    Args:
        api: the Prometheus to query.
        calendar: the time zone.
        wanted: `last`, or the day of a fall.
        days: number of days to look back.
        number: the business number. The default is any number.

    Raises:
        SourceUnavailableError: Prometheus cannot be read.
        TooLittleDataError: nothing is known.
        WrongNameError: no rating fell on that day, or there is no such number.

    """
    first, last = known_span(api, calendar.now)
    first = max(first, last - days * DAY)
    numbers = known_numbers(api, first, last)
    meant = numbers if number is None else [chosen(numbers, number)]
    found = episodes(api, meant, fine_grid(first, last))
    if wanted != "last":
        day = calendar.day(wanted, "--drop")
        if not first <= day.end or day.start > last:
            raise TooLittleDataError(
                f"{day.name} is not known. Prometheus holds {calendar.write(first)} to {calendar.write(last)}."
            )
        on_day = [each for each in found if any(day.start <= change.at < day.end for change in each.changes)]
        if not on_day:
            falls = ", ".join(calendar.write(each.at) for each in found) or "none"
            raise WrongNameError(f"--drop: no rating changed on {day.name}. Ratings fell: {falls}")
        found = on_day
    return _report(api, found[-1], numbers, Period(first, last)) if found else None


def _report(api: PrometheusApi, episode: Episode, numbers: list[Number], known: Period) -> DropReport:
    at, number = episode.at, episode.number
    start = at - math.floor((at - known.start) / HOUR) * HOUR
    over = Grid(start, HOUR, math.floor((known.end - start) / HOUR) + 1)
    reader = FigureReader(History(api, over))
    log = EventLog(api, fine_grid(known.start, known.end))
    meta, bot = log.from_meta(), log.of_the_bot(number.id)
    recent = Period(at - EVENT_DAYS * DAY, at + 1)
    experiments, running = _experiments(api, at)
    return DropReport(
        episode,
        known,
        [entry for entry in meta if recent.start <= entry.at < recent.end],
        experiments,
        running,
        [entry for entry in bot if recent.start <= entry.at < recent.end],
        moved(reader, number.id, at, over.start),
        [(other, moved(reader, other.id, at, over.start)) for other in numbers if other != number],
        _cost(api, reader, episode, known),
        sorted((*meta, *bot), key=lambda entry: entry.at),
        reader,
    )


def _experiments(api: PrometheusApi, at: float) -> tuple[list[str], list[str]]:
    """Return the experiments' evidence at the time of the fall, and the experiments that ran."""
    name = catalogue.EXPERIMENT_CONTACTS.name
    names = sorted(
        series.labels["experiment"]
        for series in api.query(f"count by (experiment) (last_over_time({name}[1d]) > 0)", at)
        if series.labels.get("experiment")
    )
    said = []
    for experiment in names:
        try:
            counts = experiment_counts.from_prometheus(api, experiment, at)
        except AnalysisError:  # no contact had seen a variant, or all had seen the same variant
            continue
        control, *others = counts.variants
        for variant in others:
            for outcome, words in _OUTCOMES.items():
                sides = (Share(each.outcomes.get(outcome, 0.0), each.contacts) for each in (variant, control))
                difference = ConfidenceSequence(alpha=0.05 / len(others) / len(_OUTCOMES)).rare_difference(*sides)
                if difference.direction:
                    more = "more" if difference.direction > 0 else "less"
                    said.append(f"{experiment}: {variant.name} has {more} of {words} than {control.name}")
    return said, names


def _cost(api: PrometheusApi, reader: FigureReader, episode: Episode, known: Period) -> Cost:
    at, number = episode.at, episode.number.id
    over = fine_grid(known.start, known.end)
    changes = deploys(api, over, number)
    before = [each for each in changes if at - _DEPLOY_DAYS * DAY <= each.at <= at]
    after = [each for each in changes if each.at > at]
    until = min(after[0].at if after else math.inf, episode.back or math.inf, known.end)
    if before:
        start, reason = before[-1].at, f"version {before[-1].version} until {'the next one' if after else 'now'}"
    else:
        start, reason = at - DAY, "from a day before the fall until the rating was back"
    span, usual = Period(start, until), Period(known.start, start)
    # abandoned runs and unanswered turns are known a day later
    later = Period(min(span.start + DAY, known.end), min(span.end + DAY, known.end))
    ended = reader.runs.between(later.start, later.end, phone_number_id=number)
    completed = reader.runs.between(later.start, later.end, phone_number_id=number, outcome="completed")
    usual_ended = reader.runs.between(usual.start, usual.end, phone_number_id=number)
    usual_completed = reader.runs.between(usual.start, usual.end, phone_number_id=number, outcome="completed")
    rate = usual_completed / usual_ended if usual_ended else math.nan
    opt_outs, usual_opt_outs = (
        reader.opt_outs.between(each.start, each.end, phone_number_id=number) for each in (span, usual)
    )
    no_answer = reader.ended.between(later.start, later.end, phone_number_id=number, outcome=("unanswered", "failed"))
    return Cost(
        span, reason, rate * ended - completed, opt_outs,
        usual_opt_outs / usual.days * span.days if usual.days else math.nan, no_answer,
    )  # fmt: skip
