"""Comparison of two periods, days, versions or numbers. The result states that it is not an experiment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from chatvitals.analysis import deploys, quantiles, statistics
from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.errors import TooLittleDataError, WrongNameError
from chatvitals.analysis.figures import BOUNDS, FigureReader, Figures
from chatvitals.analysis.history import DAY, FINEST, History, fine_grid, grid, known_span
from chatvitals.analysis.measures import MEASURES, Change, changes
from chatvitals.analysis.numbers import Number, chosen, known_numbers
from chatvitals.analysis.periods import Calendar, Period
from chatvitals.analysis.wording import NOTHING, between, count, counted, seconds, times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.analysis.prometheus_api import PrometheusApi

NO_EXPERIMENT: Final = "This is no experiment: something else may differ as well."
BY_TURNS: Final = (
    "Intervals count turns, not people: where few people write often, the true uncertainty is larger than shown."
)
_MOST_USUAL: Final = 28
_FEWEST_USUAL: Final = 3
_CLEARLY: Final = 0.05  # excess over one half in the chance of the longer wait, to be called slower


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The two sides to compare.

    Attributes:
        kind: two periods (`before`), two days (`on`) or two versions of the bot (`version`).
        ours: the period, day or version that the answer is about.
        other: the period, day or version to compare it with.
        tz: the time zone in which days begin. None takes the machine's time zone.
        days: number of days to look back for versions.
        number: the business number to show. None shows all.

    """

    kind: Literal["before", "on", "version"]
    ours: str
    other: str
    tz: str | None = None
    days: float = 30.0
    number: str | None = None


@dataclass(slots=True)
class Side:
    """One side of a comparison, with its name and its periods."""

    name: str
    periods: list[Period]

    @property
    def days(self) -> float:
        """Days of all periods together."""
        return sum(period.days for period in self.periods)


def compare(api: PrometheusApi, question: Question, now: float) -> Document:
    """Return a comparison of two sides.

    Args:
        api: the Prometheus to ask.
        question: the two sides.
        now: Unix seconds.

    Raises:
        SourceUnavailableError: Prometheus cannot be read.
        TooLittleDataError: the history does not reach far enough.
        WrongNameError: an option cannot be understood.

    """
    calendar = Calendar(question.tz, now)
    first, last = known_span(api, now)
    ours, other = _sides(api, question, calendar, Period(first, last))
    for side in (ours, other):
        _check_reach(side, Period(first, last), calendar)
    usual = _usual(other, ours, first, calendar) if question.kind != "version" else []
    bounds = [moment for period in (*ours.periods, *other.periods, *usual) for moment in (period.start, period.end)]
    over = grid(bounds)
    reader = FigureReader(History(api, over))
    numbers = known_numbers(api, over.start, over.end)
    shown = numbers if question.number is None else [chosen(numbers, question.number)]
    document = Document(f"{ours.name} against {other.name}")
    found: dict[str, tuple[Figures, Figures]] = {
        number.id: (reader.figures(number.id, ours.periods), reader.figures(number.id, other.periods))
        for number in numbers
    }
    _check_turns(shown, found, (ours, other))
    for number in shown:
        ranges = [reader.figures(number.id, [period]) for period in usual]
        add_number(document, str(number), (ours.name, other.name), found[number.id], ranges)
    ran = [
        each
        for each in deploys.deploys(api, fine_grid(first, last))
        if other.periods[0].start < each.at < ours.periods[-1].end
    ]
    conclusions = _conclusions(numbers, shown, found, ours)
    if question.kind != "version":
        conclusions += [f"In between, version {each.version} began ({calendar.write(each.at)})." for each in ran]
    document.verdict = " ".join((*conclusions, NO_EXPERIMENT))
    document.data = {
        "numbers": {str(number): as_data(*found[number.id]) for number in numbers},
        "deploys": msgspec.to_builtins(ran),
    }
    return document


def as_data(ours: Figures, other: Figures) -> dict[str, object]:
    """Return two sides as numbers."""
    sides = {
        name: {
            "turns": side.turns,
            "average_response_seconds": side.responses.value,
            "first_waits": {str(bound): waits for bound, waits in side.first_waits.items()},
        }
        for name, side in (("ours", ours), ("other", other))
    }
    return {**sides, "changes": msgspec.to_builtins(changes(ours, other))}


def add_number(
    document: Document,
    title: str,
    names: tuple[str, str],
    figures: tuple[Figures, Figures],
    usual: Sequence[Figures] = (),
) -> None:
    """Add a table that shows two sides beside each other."""
    ours, other = figures
    head = ("", names[0], names[1], "difference (95 %)", "", *(("usual range",) if usual else ()))
    table = Table(head, title=title, text_columns=frozenset({4}))
    more = (lambda text: (text,)) if usual else (lambda _: ())
    table.add("turns", count(ours.turns), count(other.turns), "", "", *more(""))
    ratio = ours.responses.value / other.responses.value if other.responses.value else math.nan
    table.add(
        "response, average", seconds(ours.responses.value), seconds(other.responses.value), _ratio(ratio), "",
        *more(_range([each.responses.value for each in usual], seconds)),
    )  # fmt: skip
    for label, share in (("  half of the customers", 0.5), ("  nine of ten", 0.9)):
        cells = (between(*quantiles.bucket_of(each.first_waits, share)) for each in (ours, other))
        table.add(label, *cells, "", "", *more(""))
    for change in changes(ours, other):
        measure = MEASURES[change.measure]
        table.add(
            change.label, measure.write(change.ours), measure.write(change.other), measure.difference(change),
            change.verdict, *more(_range([each.value for each in _values(change, usual)], measure.number)),
        )  # fmt: skip
    section = document.section(title, table)
    superior = _superiority(ours, other)
    if not math.isnan(superior.value):
        section.blocks.append(
            f"A first answer took longer on the side of {names[0]} in {superior.value * 100:.0f} of 100 pairs "
            "(50: no difference)."
        )
    section.blocks.append(BY_TURNS)
    if 0 < len(usual) < _FEWEST_USUAL:
        section.blocks.append(f"The usual range is from {counted(len(usual), 'period')} only.")


def _values(change: Change, usual: Sequence[Figures]) -> list[statistics.Share]:
    return [share for each in usual if (share := MEASURES[change.measure].of(each).get(change.key)) is not None]


def _ratio(ratio: float) -> str:
    if math.isnan(ratio) or math.isinf(ratio):
        return ""
    return f"{times(ratio)} as long"


def _range(values: list[float], write: object) -> str:
    known = [value for value in values if not math.isnan(value)]
    if not known or not callable(write):
        return NOTHING
    return f"{write(min(known))} to {write(max(known))}"


def _sides(api: PrometheusApi, question: Question, calendar: Calendar, known: Period) -> tuple[Side, Side]:
    ours, other = question.ours, question.other
    if question.kind == "on":
        on, against = calendar.day(ours, "--on"), calendar.day(other, "--against")
        if on == against:
            raise WrongNameError("--on and --against are the same day")
        return Side(on.name, [on]), Side(against.name, [against])
    if question.kind == "before":
        after = calendar.period(ours, "--after")
        before = calendar.period(other, "--before", after)
        if min(after.end, before.end) > max(after.start, before.start):
            raise WrongNameError("--before and --after overlap: a time belongs to one of them only")
        return Side(after.name, [after]), Side(before.name, [before])
    if ours == other:
        raise WrongNameError("--version and --against are the same version")
    spans = deploys.version_spans(api, fine_grid(max(known.start, known.end - question.days * DAY), known.end))
    versions = [
        Side(f"version {name}", deploys.periods_of(spans, name, option))
        for name, option in ((ours, "--version"), (other, "--against"))
    ]
    return versions[0], versions[1]


def _check_reach(side: Side, known: Period, calendar: Calendar) -> None:
    for period in side.periods:
        if period.start < known.start - 2 * FINEST or period.start >= known.end:
            raise TooLittleDataError(
                f"{side.name} is not known. Prometheus holds {calendar.write(known.start)} to "
                f"{calendar.write(known.end)}, which is {counted(known.days, 'day')}."
            )


def _check_turns(shown: list[Number], found: dict[str, tuple[Figures, Figures]], sides: tuple[Side, Side]) -> None:
    """Raise where a side has no turn at all, because every measure would look unchanged."""
    for place, side in enumerate(sides):
        if not any(found[number.id][place].turns for number in shown):
            raise TooLittleDataError(f"{side.name} has no turns{_at(shown)}, so there is nothing to compare.")


def _at(numbers: list[Number]) -> str:
    return f" at {numbers[0]}" if len(numbers) == 1 else ""


def _usual(other: Side, ours: Side, first: float, calendar: Calendar) -> list[Period]:
    """Return periods with the same times of the day before both sides, the latest first."""
    model = other.periods[0]
    step = max(math.ceil(calendar.length(model)), 1)
    # days back to the side that came first
    nearest = math.ceil(calendar.length(Period(min(model.start, ours.periods[0].start), model.start)))
    found = []
    for back in range(1, _MOST_USUAL + 1):
        period = calendar.earlier(model, nearest + back * step)
        if period.start < first - FINEST:
            break
        found.append(period)
    return found


def _conclusions(
    numbers: list[Number], shown: list[Number], found: dict[str, tuple[Figures, Figures]], ours: Side
) -> list[str]:
    """Return sentences on the numbers that changed and the numbers that serve as control."""
    worse = {
        number.id: [c.label.strip() for c in changes(*found[number.id]) if c.verdict == "worse" and not c.key]
        for number in numbers
    }
    slower = [number for number in numbers if _is_slower(*found[number.id])]
    quiet = [number for number in numbers if number not in slower and found[number.id][0].turns]
    said = []
    if slower and quiet:
        said.append(
            f"Only {_names(slower)} got slower on the side of {ours.name}. {_names(quiet)} did not change: that "
            "speaks against WhatsApp and the network as the reason."
        )
    elif slower and len(numbers) > 1:
        said.append("All numbers got slower. Look at what they share: host, network, WhatsApp.")
    elif not slower:
        compared = [number for number in shown if all(side.turns for side in found[number.id])]
        said.append(f"Answers did not get slower at {_names(compared)}." if compared else "No number has both sides.")
    said += [f"{number} is worse in: {', '.join(worse[number.id])}." for number in shown if worse[number.id]]
    return said


def _superiority(ours: Figures, other: Figures) -> statistics.Superiority:
    """Return how often a first wait of our side is longer."""
    return statistics.superiority(*([side.first_waits.get(bound, 0.0) for bound in BOUNDS] for side in (other, ours)))


def _is_slower(ours: Figures, other: Figures) -> bool:
    """Return whether answers are clearly slower.

    Ranks and late turns decide. The mean does not, because one outlier moves it.
    """
    late = any(change.measure == "over_minute" and change.verdict == "worse" for change in changes(ours, other))
    waits = _superiority(ours, other).interval()
    return late or (waits.low > 0 and waits.value > _CLEARLY)


def _names(numbers: list[Number]) -> str:
    return " and ".join(str(number) for number in numbers)
