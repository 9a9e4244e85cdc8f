"""Comparison of two business numbers, at the same time or by days since each number's first message."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.analysis import deploys
from chatvitals.analysis.document import Document
from chatvitals.analysis.errors import TooLittleDataError, WrongNameError
from chatvitals.analysis.figures import FigureReader, Figures
from chatvitals.analysis.history import DAY, HOUR, Grid, History, fine_grid, known_span
from chatvitals.analysis.measures import changes
from chatvitals.analysis.numbers import Number, chosen, known_numbers
from chatvitals.analysis.periods import Calendar, Period
from chatvitals.analysis.side_comparison import add_number

if TYPE_CHECKING:
    from chatvitals.analysis.prometheus_api import PrometheusApi

_TWO_PEOPLE: Final = "This is no experiment: the two numbers write to different people."
_CLEARLY: Final = 0.02  # difference in the share of turns over a minute from which a version is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The two business numbers to compare.

    Attributes:
        ours: the number that the answer is about, given as its id, phone number or name.
        other: the number to compare it with.
        tz: the time zone in which days begin. None takes the machine's time zone.
        days: number of days to look back.
        since_first_message: whether to compare day by day since each number's first message.

    """

    ours: str
    other: str
    tz: str | None = None
    days: float = 30.0
    since_first_message: bool = False


def compare(api: PrometheusApi, question: Question, now: float) -> Document:
    """Return a comparison of two numbers.

    Args:
        api: the Prometheus to ask.
        question: the two numbers.
        now: Unix seconds.

    Raises:
        TooLittleDataError: the two numbers have no common time.
        WrongNameError: there is no such number, or both are the same.

    """
    calendar, known = Calendar(question.tz, now), Period(*known_span(api, now))
    start = max(known.start, known.end - question.days * DAY)
    start = known.end - math.floor((known.end - start) / HOUR) * HOUR
    over = Grid(start, HOUR, round((known.end - start) / HOUR) + 1)
    numbers = known_numbers(api, over.start, over.end)
    ours, other = chosen(numbers, question.ours), chosen(numbers, question.other, "--against")
    if ours == other:
        raise WrongNameError(f"--number and --against are the same number: {ours}")
    reader = FigureReader(History(api, over))
    periods = _periods(reader, ours, other, calendar, since_first=question.since_first_message)
    sides = (_figures(reader, ours, periods[0]), _figures(reader, other, periods[1]))
    document = Document(f"{ours} against {other}, {_span(periods, calendar)}")
    names = (ours.display or ours.id, other.display or other.id)
    add_number(document, "", names, sides)
    document.data = {"changes": msgspec.to_builtins(changes(*sides))}
    said = [_worse(str(ours), sides)]
    spans = deploys.version_spans(api, fine_grid(over.start, over.end))
    left_out = _worth_leaving_out(reader, (ours, other), spans)
    if left_out is not None and not question.since_first_message:
        rest = [_without(period, spans[left_out]) for period in periods]
        without = (reader.figures(ours.id, rest[0]), reader.figures(other.id, rest[1]))
        when = ", ".join(f"{calendar.write(each.start)} to {calendar.write(each.end)}" for each in spans[left_out])
        add_number(document, f"Without {when}, when version {left_out} ran", names, without)
        document.data["without"] = {"version": left_out, "changes": msgspec.to_builtins(changes(*without))}
        if _worse(str(ours), without) != said[0]:
            said.append(f"Without the time of version {left_out}: {_worse(str(ours), without)}")
    document.verdict = " ".join((*said, _TWO_PEOPLE))
    return document


def _periods(
    reader: FigureReader, ours: Number, other: Number, calendar: Calendar, *, since_first: bool
) -> tuple[Period, Period]:
    over = reader.history.grid
    firsts = [_first(reader, number, over) for number in (ours, other)]
    if since_first:
        length = over.end - max(firsts)
        length = math.floor(length / DAY) * DAY or length
        periods = Period(firsts[0], firsts[0] + length), Period(firsts[1], firsts[1] + length)
    else:
        lasts = [_last(reader, number, over) for number in (ours, other)]
        common = Period(max(firsts), min(lasts))
        periods = common, common
    if periods[0].end <= periods[0].start:
        raise TooLittleDataError(
            f"{ours} and {other} have no common time: {calendar.write(firsts[0])} and {calendar.write(firsts[1])} are "
            "their first messages. Try --since-first-message."
        )
    return periods


def _first(reader: FigureReader, number: Number, over: Grid) -> float:
    values = reader.opened.grown.get((number.id,), [0.0])
    index = next((place for place, value in enumerate(values) if value > 0), None)
    if index is None:
        raise TooLittleDataError(f"{number} had no messages in this time. Give more --days.")
    return over.start + max(index - 1, 0) * over.step


def _last(reader: FigureReader, number: Number, over: Grid) -> float:
    values = reader.opened.grown[number.id,]
    return over.start + next(place for place, value in enumerate(values) if value == values[-1]) * over.step


def _figures(reader: FigureReader, number: Number, period: Period) -> Figures:
    return reader.figures(number.id, [period])


def _worth_leaving_out(
    reader: FigureReader, numbers: tuple[Number, Number], spans: dict[str, list[Period]]
) -> str | None:
    """Return the version during which the two numbers clearly differed most.

    The result is None where no version differs clearly, or only one version ran.
    """
    gaps = {}
    for version, periods in spans.items():
        ours, other = (reader.figures(number.id, periods).over_minute.value for number in numbers)
        gaps[version] = abs(ours - other)
    if len(gaps) < 2:
        return None
    version = max(gaps, key=lambda name: gaps[name] if not math.isnan(gaps[name]) else -1.0)
    return version if gaps[version] > _CLEARLY else None


def _without(period: Period, left_out: list[Period]) -> list[Period]:
    rest = [period]
    for out in left_out:
        rest = [
            piece
            for each in rest
            for piece in (Period(each.start, min(each.end, out.start)), Period(max(each.start, out.end), each.end))
            if piece.end > piece.start
        ]
    return rest


def _worse(name: str, sides: tuple[Figures, Figures]) -> str:
    found = changes(*sides)
    worse = [change.label.strip() for change in found if change.verdict == "worse" and change.measure != "left_at"]
    better = [change.label.strip() for change in found if change.verdict == "better" and change.measure != "left_at"]
    parts = [f"better in {', '.join(better)}"] if better else []
    parts += [f"worse in {', '.join(worse)}"] if worse else []
    return f"{name} is {' and '.join(parts)}." if parts else f"{name} shows no visible difference."


def _span(periods: tuple[Period, Period], calendar: Calendar) -> str:
    ours, other = periods
    if ours == other:
        return f"{calendar.write(ours.start)} to {calendar.write(ours.end)}"
    return f"by days since each number's first message, {ours.days:.0f} days"
