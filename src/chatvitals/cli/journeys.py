"""`chatvitals journeys`: print each journey as a funnel in the terminal (conversations/README.md 6)."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chatvitals.analysis import quantiles, text_width
from chatvitals.analysis.errors import WrongNameError, printable
from chatvitals.analysis.numbers import chosen, numbers_in
from chatvitals.cli import _common
from chatvitals.cli.journey_paths import Paths
from chatvitals.exporters import scrape
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from chatvitals.exporters.scrape import Sample

_OUTCOMES = {
    "completed": "completed",
    "handed_over": "handed over",
    "abandoned_by_user": "abandoned by the customer",
    "abandoned_by_business": "abandoned waiting for us",
    "restarted": "restarted",
    "expired": "expired",
}
_HEAD = ("step", "reached", "", "of first", "drop-off", "median", "open", "stalled")
_BAR, _OF_FIRST, _MEDIAN, _STALLED = 2, 3, 5, 7  # columns
_SHORTEST_BAR = 6
_LONGEST_NAME = 24
_STAY = "\xa0"  # a non-breaking space
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(slots=True)
class StepCounts:
    """The counts of one step, in runs."""

    name: str
    index: float = math.inf
    """The declared position, or infinity where it is not known."""
    reached: float = 0
    ended: float = 0
    dropped: Counter[str] = field(default_factory=Counter)
    open: float = 0
    stalled: float = 0
    seconds: float = 0
    buckets: Counter[float] = field(default_factory=Counter)

    @property
    def drop_off(self) -> float | None:
        """The share of ended runs that were abandoned here, 0 to 1, or None where no run has ended."""
        return self.dropped.total() / self.ended if self.ended else None

    @property
    def median(self) -> float | None:
        """The interpolated median of seconds in the step. None without data, infinite above the last bucket."""
        counts, below = {}, 0
        for upper, upto in sorted(self.buckets.items()):
            counts[upper], below = float(upto - below), upto
        value = quantiles.histogram_quantile(counts, 0.5)
        if math.isnan(value):
            return None
        if math.isinf(value):
            return value
        return min(value, 2 * self.seconds / below)  # the median of positive numbers is at most twice their mean


@dataclass(slots=True)
class Funnel:
    """The numbers of one journey, over all business numbers or one."""

    journey: str
    started: float = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    known: dict[str, StepCounts] = field(default_factory=dict)
    paths: Paths = field(default_factory=Paths)

    def step(self, name: str) -> StepCounts:
        """Return a step's counts, which start at 0."""
        return self.known.setdefault(name, StepCounts(name))

    @property
    def steps(self) -> list[StepCounts]:
        """The steps in their declared order. Steps without a declared position follow, the most reached first."""
        return sorted(self.known.values(), key=lambda step: (step.index, -step.reached, step.name))

    @property
    def open(self) -> float:
        """Runs in progress."""
        return sum(step.open for step in self.known.values())

    @property
    def stalled(self) -> float:
        """Runs in progress without recent activity."""
        return sum(step.stalled for step in self.known.values())


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Show each journey as a funnel. Each step has its runs, their share of the first step's runs, and the median "
        "time. Drop-off is the share of the ended runs of a step that were abandoned there. Open and stalled are the "
        "runs that are there now. All counts start with the store."
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--metrics", metavar="URL", help="read a bot's metrics, such as http://127.0.0.1:8000/metrics")
    source.add_argument("--store", metavar="URL", help="read a store (default: CHATVITALS_STORE)")
    parser.add_argument("--token", metavar="T", help="bearer token of the metrics (default: CHATVITALS_METRICS_TOKEN)")
    parser.add_argument(
        "--number", metavar="N", help="a business number: its id, phone number or name (default: all, added up)"
    )
    parser.add_argument("--journey", metavar="NAME", help="the journey to show (default: all)")
    parser.set_defaults(
        run=lambda options: run(options.metrics, options.store, options.token, options.number, options.journey)
    )


def run(metrics: str | None, store: str | None, token: str | None, number: str | None, journey: str | None) -> int:
    """Print the funnel of each journey and return the exit status.

    Args:
        metrics: the address of a bot's `/metrics`.
        store: the URL of a store to read instead. Without both, the store of the settings is read.
        token: the bearer token of `metrics`. The default is `CHATVITALS_METRICS_TOKEN`.
        number: the id, phone number or name of the business number to show. The default is all, added up.
        journey: the journey to show. The default is all journeys.

    Returns:
        0 for success, 1 for unreadable numbers, 2 for an invalid option or setting.

    """
    try:
        if metrics is not None:
            if not _is_address(metrics):
                return _common.refused(
                    "journeys", f"--metrics must be like http://127.0.0.1:8000/metrics, not {_shown(metrics)}"
                )
            found = scrape.from_url(metrics, token or Settings.load({}).metrics_token)
        else:
            url = Settings.load({} if store is None else {"store": store}).store
            found = scrape.from_store(url)
            if number is not None and not any(sample.labels.get("phone_number_id") == number for sample in found):
                found += _number_names(url)
        shown = funnels(found, number=number, journey=journey)
    except scrape.SourceError as error:
        about = "" if journey is None else f"the journey {_shown(journey)} cannot be looked up: "
        return _common.refused("journeys", f"{about}{error}", _common.FAILED)
    except (SettingsError, WrongNameError) as error:
        return _common.refused("journeys", str(error))
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    blocks = _common.can_show(_EIGHTHS)
    text = "\n\n".join("\n".join(lines(funnel, width=width, blocks=blocks)) for funnel in shown)
    print(text or "No journey has begun yet.")  # noqa: T201 - a command's voice
    return _common.OK


def _number_names(url: str) -> list[Sample]:
    """Return the phone numbers and names of business numbers. The cells of a store have ids only."""
    from chatvitals.analysis import sources  # noqa: PLC0415 - few calls name a number by its phone number

    try:
        opened = open_store(url, create=False)
        try:
            return sources.number_names(opened)
        finally:
            opened.close()
    except StoreUnavailableError as error:
        raise scrape.SourceError(str(error)) from None


def funnels(found: Iterable[Sample], *, number: str | None = None, journey: str | None = None) -> list[Funnel]:
    """Return each journey's funnel, sorted by name.

    Args:
        found: samples of chatvitals.
        number: the only business number to count: its id, phone number or name. The default is all, added up.
        journey: the only journey to return.

    Raises:
        WrongNameError: there is no such number or journey.

    """
    samples = list(found)
    wanted = None if number is None else chosen(numbers_in(samples), number).id
    made: dict[str, Funnel] = {}
    for sample in samples:
        name = sample.labels.get("journey", "")
        if name and (wanted is None or sample.labels.get("phone_number_id", "") in {wanted, ""}):
            _add(made.setdefault(name, Funnel(name)), sample)
    if journey is not None and journey not in made:
        raise WrongNameError(f"there is no journey {journey}. The journeys are: {_listed(made)}")
    return [made[name] for name in sorted(made) if journey in {None, name}]


def _add(funnel: Funnel, sample: Sample) -> None:
    labels, value = sample.labels, sample.value
    if sample.name == "chatvitals_journey_runs_started_total":
        funnel.started += value
    elif sample.name == "chatvitals_journey_runs_total":
        funnel.outcomes[labels.get("outcome", "")] += int(value)
    elif sample.name == "chatvitals_journey_transitions_total":
        funnel.paths.add(labels.get("from_step", ""), labels.get("to_step", ""), value)
    elif labels.get("step"):
        _add_step(funnel.step(labels["step"]), sample.name.removeprefix("chatvitals_journey_"), labels, value)


def _add_step(step: StepCounts, name: str, labels: dict[str, str], value: float) -> None:
    match name:
        case "step_info":
            step.index = float(labels.get("index", "inf"))
        case "step_reached_total":
            step.reached += value
        case "step_ended_total":
            step.ended += value
        case "step_dropped_total":
            step.dropped[labels.get("outcome", "")] += int(value)
        case "runs_open":
            step.open += value
        case "runs_stalled":
            step.stalled += value
        case "step_seconds_sum":
            step.seconds += value
        case "step_seconds_bucket":
            step.buckets[float(labels["le"])] += int(value)
        case _:
            pass


def lines(funnel: Funnel, *, width: int = 80, blocks: bool = True) -> list[str]:
    """Return a funnel as lines of text.

    Args:
        funnel: the funnel to show.
        width: available columns. Columns that do not fit are left out, bars first.
        blocks: whether bars use block characters instead of `#`.

    """
    steps = funnel.steps
    if not funnel.started:
        return [f"{_shown(funnel.journey)}: no runs yet"]
    first, most = steps[0].reached, max(step.reached for step in steps)
    marks = _marks(funnel, blocks=blocks)
    cells = [_HEAD, *((marks[step.name] + row[0], *row[1:]) for step in steps for row in [_cells(step, first)])]
    widths = [max(text_width.width(row[column]) for row in cells) for column in range(len(_HEAD))]
    shown = _fitting(widths, width)
    if _BAR in shown:
        taken = sum(widths[column] for column in shown) + 2 * (len(shown) - 1)
        widths[_BAR] = max(min(width - taken, 40), _SHORTEST_BAR)
    bars = ["", *(_bar(step.reached / most if most else 0.0, widths[_BAR], blocks=blocks) for step in steps)]
    table = [
        "  ".join(
            text_width.left(text, widths[column]) if column in {0, _BAR} else text_width.right(text, widths[column])
            for column, text in enumerate((*row[:_BAR], bar, *row[_BAR + 1 :]))
            if column in shown
        ).rstrip()
        for row, bar in zip(cells, bars, strict=True)
    ]
    said = [_summary(funnel), "", *table, *_elsewhere(funnel, steps[0]), *_worst(steps)]
    wrapped = (text_width.wrapped(text, width, others="  ") if text not in table else [text] for text in said)
    return [text.replace(_STAY, " ") for block in wrapped for text in block or [""]]


def _fitting(widths: list[int], width: int) -> list[int]:
    """Return the columns that fit. Bars, medians and stalled runs are removed first."""
    shown = list(range(len(widths)))
    for gone in (_BAR, _MEDIAN, _STALLED, _OF_FIRST):
        least = sum(max(widths[column], _SHORTEST_BAR if column == _BAR else 0) for column in shown)
        if least + 2 * (len(shown) - 1) <= width:
            break
        shown.remove(gone)
    return shown


def _marks(funnel: Funnel, *, blocks: bool) -> dict[str, str]:
    """Return the prefix of each step's name: a branch where runs choose between it and its neighbours."""
    between, last = ("├ ", "└ ") if blocks else ("|- ", "`- ")
    marks: dict[str, str] = {}
    for group in funnel.paths.alternatives([step.name for step in funnel.steps]):
        for step in group:
            marks[step] = "" if len(group) == 1 else last if step == group[-1] else between
    return marks


def _elsewhere(funnel: Funnel, first: StepCounts) -> list[str]:
    """Return a sentence about runs that did not begin at the first step, such as through a link."""
    began = funnel.paths.beginnings(first.name)
    if not began:
        return []
    at = ", ".join(f"{_count(count)} at {_shown(step)}" for step, count in began[:3])
    return ["", f"Not all runs began at {_shown(first.name)}: {at}. So a later step may have more runs than the first."]


def _cells(step: StepCounts, first: float) -> tuple[str, ...]:
    return (
        _shown(step.name),
        _count(step.reached),
        "",
        _share(step.reached / first if first else None),
        _share(step.drop_off),
        _time(step),
        _count(step.open),
        _count(step.stalled),
    )


def _summary(funnel: Funnel) -> str:
    parts = [f"{_count(funnel.outcomes[name])} {words}" for name, words in _OUTCOMES.items() if funnel.outcomes[name]]
    if funnel.open:
        stalled = f" ({_count(funnel.stalled)} stalled)" if funnel.stalled else ""
        parts.append(f"{_count(funnel.open)} open{stalled}")
    runs = "run" if funnel.started == 1 else "runs"
    parts.insert(0, f"{_shown(funnel.journey)}: {_count(funnel.started)} {runs} started")
    return ", ".join(part.replace(" ", _STAY) for part in parts)


def _worst(steps: list[StepCounts]) -> list[str]:
    """Return the step with most lost runs, and how many of them waited for an answer of the business."""
    worst = max(steps, key=lambda step: (step.dropped.total(), step.drop_off or 0.0))
    lost, waiting = worst.dropped.total(), worst.dropped["abandoned_by_business"]
    if not lost:
        return []
    of_them = f", {_count(waiting)} of them waiting for an answer" if waiting else ""
    return ["", f"Most runs are lost at {_shown(worst.name)}: {_count(lost)} of {_count(worst.ended)} ended{of_them}."]


def _bar(share: float, width: int, *, blocks: bool) -> str:
    if not blocks:
        return "#" * math.ceil(share * width)
    whole, eighths = divmod(math.ceil(share * width * 8), 8)
    return "█" * whole + _EIGHTHS[eighths].strip()


def _time(step: StepCounts) -> str:
    value = step.median
    if value is None:
        return "-"
    if math.isinf(value):
        return f"> {_seconds(max((upper for upper in step.buckets if math.isfinite(upper)), default=0.0))}"
    return _seconds(value)


def _seconds(value: float) -> str:
    for size, unit in ((86_400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} s" if value >= 10 or not value else f"{value:.1f} s"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _shown(name: str) -> str:
    """Return a name that is safe for a terminal, because names come from outside."""
    return text_width.cut(printable(name), _LONGEST_NAME)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_shown(name) for name in sorted(names) if name) or "none yet"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port, or half an IPv6 address
        return False
