"""SVG charts of a report on one time axis.

The charts show the rating, waits, opt-outs, reads and campaigns.
Colours are CSS variables, so that the page decides on light or dark. Text stays text.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib import dates
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from chatvitals.analysis import quantiles
from chatvitals.analysis.history import DAY
from chatvitals.analysis.rating_changes import ratings
from chatvitals.analysis.statistics import Share

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from matplotlib.axes import Axes

    from chatvitals.analysis.periods import Calendar
    from chatvitals.analysis.prometheus_api import PrometheusApi
    from chatvitals.analysis.rating_drop import DropReport

_INK, _LINE, _BAND, _MARK, _GRID, _PAGE = "#010203", "#010204", "#010205", "#010206", "#010207", "#01020b"
_VARIABLES: Final = {
    _INK: "var(--ink)", _LINE: "var(--line)", _BAND: "var(--band)", _MARK: "var(--mark)", _GRID: "var(--grid)",
    "#010208": "var(--green)", "#010209": "var(--yellow)", "#01020a": "var(--red)", _PAGE: "var(--page)",
}  # fmt: skip
_RATING_COLOURS: Final = {3: "#010208", 2: "#010209", 1: "#01020a"}
_NAMES: Final = {3: "GREEN", 2: "YELLOW", 1: "RED"}
_MOST_LABELS: Final = 8


@dataclass(slots=True)
class Daily:
    """One measure by day.

    Args:
        title: name of the measure, with its unit.
        values: start of each day and its value. The value is NaN where nothing was counted.
        low: lower end of the usual range before the fall.
        high: upper end of the usual range.

    """

    title: str
    values: list[tuple[float, float]]
    low: float
    high: float


def daily_measures(report: DropReport, calendar: Calendar) -> list[Daily]:
    """Return the four measures by day, from midnight to midnight."""
    reader, number = report.reader, report.episode.number.id

    def over_minute(start: float, end: float) -> float:
        where = {"phone_number_id": number}
        return (
            100 * Share(reader.overdue.between(start, end, **where), reader.opened.between(start, end, **where)).value
        )

    def read(start: float, end: float) -> float:
        where = {"phone_number_id": number}
        count, total = (reader.statuses.between(start, end, status=each, **where) for each in ("read", "delivered"))
        return 100 * Share(count, total).value

    def opt_outs(start: float, end: float) -> float:
        return reader.opt_outs.between(start, end, phone_number_id=number)

    def campaigns(start: float, end: float) -> float:
        return reader.sends.between(start, end, phone_number_id=number, kind="campaign")

    wanted: tuple[tuple[str, Callable[[float, float], float]], ...] = (
        ("Waited over a minute (% of turns)", over_minute),
        ("Opt-outs (a day)", opt_outs),
        ("Read (% of delivered messages)", read),
        ("Campaign messages (a day)", campaigns),
    )
    days = _days(report, calendar)
    found = []
    for title, measure in wanted:
        values = [(start, measure(start, end)) for start, end in days]
        usual = [
            value for (_, end), (_, value) in zip(days, values, strict=True)
            if end <= report.episode.at and not math.isnan(value)
        ]  # fmt: skip
        found.append(Daily(title, values, quantiles.quantile(usual, 0.05), quantiles.quantile(usual, 0.95)))
    return found


def draw(report: DropReport, measures: list[Daily], calendar: Calendar, api: PrometheusApi) -> str:
    """Return the charts as one SVG element."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "chatvitals", "font.family": "sans-serif"})
    figure = Figure(figsize=(9.6, 9.0), layout="constrained")
    heights = {"height_ratios": [0.4, 0.75, *[1] * len(measures)]}
    axes: list[Axes] = list(figure.subplots(len(measures) + 2, 1, sharex=True, gridspec_kw=heights))
    local = calendar.local
    _draw_rating(axes[0], report, calendar, api)
    for axis, measure in zip(axes[2:], measures, strict=True):
        moments = [local(at + DAY / 2).replace(tzinfo=None) for at, _ in measure.values]
        if not math.isnan(measure.low):
            axis.axhspan(measure.low, measure.high, color=_BAND, linewidth=0, gid="usual")
        axis.plot(moments, [value for _, value in measure.values], color=_LINE, linewidth=1.6, marker="o", markersize=3)  # type: ignore[arg-type]
        axis.set_title(measure.title, loc="left", fontsize=10, color=_INK)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axis.grid(axis="y", color=_GRID, linewidth=0.6)
    _draw_events(axes, report, calendar)
    locator = dates.AutoDateLocator(maxticks=9)  # type: ignore[no-untyped-call]
    axes[-1].xaxis.set_major_locator(locator)
    axes[-1].xaxis.set_major_formatter(dates.DateFormatter("%-d %b"))  # type: ignore[no-untyped-call]
    for axis in axes:
        axis.set_facecolor("none")
        axis.tick_params(colors=_INK, labelsize=9)
        for side in axis.spines.values():
            side.set_visible(False)
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _as_element(out.getvalue(), report)


def _draw_rating(axis: Axes, report: DropReport, calendar: Calendar, api: PrometheusApi) -> None:
    from chatvitals.analysis.history import fine_grid  # noqa: PLC0415 - beside its only use

    over = fine_grid(report.known.start, report.known.end)
    for _, points in ratings(api, [report.episode.number], over):
        runs: list[tuple[float, float, int]] = []
        for (at, rating), (until, _) in pairwise(points):
            if runs and runs[-1][2] == rating:
                runs[-1] = (runs[-1][0], until, rating)
            else:
                runs.append((at, until, rating))
        for start, end, rating in runs:
            left, right = (calendar.local(each).replace(tzinfo=None) for each in (start, end))
            axis.axvspan(left, right, color=_RATING_COLOURS[rating], linewidth=0)  # type: ignore[arg-type]
            if end - start > 2.5 * DAY:
                place = _number_of(left + (right - left) / 2), 0.5
                ink = "#000000" if rating == 2 else "#ffffff"
                axis.annotate(_NAMES[rating], place, ha="center", va="center", fontsize=9, color=ink)
    axis.set_yticks([])
    axis.set_title("Rating by WhatsApp", loc="left", fontsize=10, color=_INK, pad=4)


def _draw_events(axes: list[Axes], report: DropReport, calendar: Calendar) -> None:
    events = [entry for entry in report.log if entry.kind in {"deploy", "template", "account"}]
    # deploys come first where there are too many events: the bot's authors can change deploys
    events = sorted(sorted(events, key=lambda entry: entry.kind != "deploy")[:_MOST_LABELS], key=lambda entry: entry.at)
    top = axes[1]
    top.set_yticks([])
    top.set_title("Deploys and events from WhatsApp", loc="left", fontsize=10, color=_INK)
    for place, entry in enumerate(events):
        moment = calendar.local(entry.at).replace(tzinfo=None)
        style = "-" if entry.kind == "deploy" else ":"
        for axis in axes[1:]:
            axis.axvline(moment, color=_MARK, linewidth=1.0, linestyle=style)  # type: ignore[arg-type]
        top.annotate(
            entry.what,
            (_number_of(moment), 0.98 - 0.25 * (place % 4)),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=8,
            color=_INK,
            va="top",
            bbox={"facecolor": _PAGE, "edgecolor": "none", "pad": 0.5},
        )


def _number_of(moment: datetime) -> float:
    return float(dates.date2num(moment))  # type: ignore[no-untyped-call]


def _days(report: DropReport, calendar: Calendar) -> list[tuple[float, float]]:
    start = calendar.midnight(report.known.start)
    if start < report.known.start - 600:
        start = calendar.midnight(start + 1.5 * DAY)
    found = []
    while start < report.known.end:
        end = calendar.midnight(start + 1.5 * DAY)
        if end > report.known.end + 600:
            break
        found.append((start, end))
        start = end
    return found


def _as_element(svg: str, report: DropReport) -> str:
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    number = str(report.episode.number).replace("&", "&amp;").replace("<", "&lt;")
    label = (
        f"<title>Charts of {number}</title><desc>Rating, waits over a minute, opt-outs, reads and campaigns by day. "
        "The table below holds the same numbers.</desc>"
    )
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'width="100%" role="img"', svg, count=1)
    return re.sub(r"(<svg[^>]*>)", lambda match: match[1] + label, svg, count=1)
