"""Growth of counters between two times, across restarts and gaps."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chatvitals.analysis.errors import TooLittleDataError
from chatvitals.analysis.prometheus_api import MOST_POINTS
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatvitals.analysis.prometheus_api import PrometheusApi, Series

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
FINEST: Final = 300.0
"""The smallest distance between two points, in seconds. Prometheus looks back this far for a value."""
LONGEST_DAYS: Final = 90
_COARSEST: Final = HOUR


@dataclass(frozen=True, slots=True)
class Grid:
    """Times at equal distances.

    Args:
        start: the first time, in Unix seconds.
        step: seconds between two times.
        count: number of times.

    """

    start: float
    step: float
    count: int

    @property
    def end(self) -> float:
        """The last time of the grid."""
        return self.start + self.step * (self.count - 1)

    def index(self, at: float) -> int:
        """Return the index of the last grid time at or before `at`. The result is always within the grid."""
        return min(max(math.floor((at - self.start) / self.step + 1e-6), 0), self.count - 1)


def grid(bounds: Iterable[float]) -> Grid:
    """Return a grid that holds all bounds.

    Bounds that share no larger step lie within 5 minutes of a grid time.
    """
    moments = sorted({round(bound) for bound in bounds})
    span = moments[-1] - moments[0]
    common = math.gcd(*(moment - moments[0] for moment in moments)) or round(HOUR)
    least = max(FINEST, span / MOST_POINTS)
    step = common / max(1, math.ceil(common / _COARSEST)) if common >= least else math.ceil(least / FINEST) * FINEST
    return Grid(float(moments[0]), step, math.ceil(span / step - 1e-6) + 1)


def fine_grid(start: float, end: float) -> Grid:
    """Return the finest grid between two times that Prometheus can answer."""
    step = FINEST * max(1, math.ceil((end - start) / FINEST / MOST_POINTS))
    return Grid(start, step, math.floor((end - start) / step) + 1)


@dataclass(frozen=True, slots=True)
class Counts:
    """A counter's growth since the grid's start, by label values.

    Args:
        grid: the times.
        by: names of the labels.
        grown: growth up to each time, by the labels' values.

    """

    grid: Grid
    by: tuple[str, ...]
    grown: dict[tuple[str, ...], list[float]]

    def until(self, end: float, **where: str | Sequence[str]) -> float:
        """Return the growth up to `end`."""
        last = self.grid.index(end)
        return sum(values[last] for labels, values in self.grown.items() if self._fits(labels, where))

    def between(self, start: float, end: float, **where: str | Sequence[str]) -> float:
        """Return the growth from `start` to `end`.

        Args:
            start: Unix seconds.
            end: Unix seconds.
            where: the value of a label, or several values of which any may match.

        Example:
            >>> counts.between(monday, tuesday, phone_number_id="1055", turn="first")  # doctest: +SKIP

        """
        first, last = self.grid.index(start), self.grid.index(end)
        return sum(values[last] - values[first] for labels, values in self.grown.items() if self._fits(labels, where))

    def each(self, start: float, end: float, label: str, **where: str | Sequence[str]) -> dict[str, float]:
        """Return the growth from `start` to `end` by the values of one label."""
        first, last = self.grid.index(start), self.grid.index(end)
        place, found = self.by.index(label), dict[str, float]()
        for labels, values in self.grown.items():
            if self._fits(labels, where):
                found[labels[place]] = found.get(labels[place], 0.0) + values[last] - values[first]
        return found

    def values(self, label: str) -> set[str]:
        """Return the values that a label has had."""
        return {labels[self.by.index(label)] for labels in self.grown}

    def _fits(self, labels: tuple[str, ...], where: dict[str, str | Sequence[str]]) -> bool:
        for name, wanted in where.items():
            value = labels[self.by.index(name)]
            if value != wanted if isinstance(wanted, str) else value not in wanted:
                return False
        return True


class History:
    """The counters of a Prometheus on one grid.

    A counter that falls was restarted and counts from 0. A series that appears while its job is already known also
    counts from 0. A gap keeps the last value.

    Args:
        api: the Prometheus to query.
        over: the grid.

    """

    def __init__(self, api: PrometheusApi, over: Grid) -> None:
        self.api = api
        self.grid = over
        self._known = self._first_moments()
        self._read: dict[tuple[str, tuple[str, ...], str, bool], Counts] = {}

    def counts(
        self, family: catalogue.Family, by: str = "phone_number_id", matching: str = "", *, whole: bool = False
    ) -> Counts:
        """Return a counter, or a histogram's buckets or sum, added up by labels.

        Args:
            family: a family of the catalogue.
            by: names of labels, separated by spaces. `le` gives the buckets of a histogram, cumulative.
            matching: further matchers of PromQL, such as `turn="first"`.
            whole: whether the count before the first sample is included.

        Raises:
            SourceUnavailableError: Prometheus cannot be read.
            TooLittleDataError: Prometheus keeps the histogram in its native form only.

        """
        names = tuple(by.split())
        suffix = "" if family.kind == "counter" else "_bucket" if "le" in names else "_sum"
        key = (family.name + suffix, names, matching, whole)
        if key not in self._read:
            own = ", ".join((*family.all_labels, *(("le",) if suffix == "_bucket" else ()), "job"))
            one = f"max by ({own}) ({key[0]}{{{matching}}})"
            query = f"sum by ({', '.join((*names, 'job'))}) ({one})"
            found = self.gauge(query)
            if not found and family.kind == "histogram":
                self._refuse_native(family)
            self._read[key] = Counts(self.grid, names, self._grown(found, names, whole=whole))
        return self._read[key]

    def gauge(self, expression: str) -> list[Series]:
        """Return the series of an expression on the grid."""
        return self.api.query_range(expression, self.grid.start, self.grid.end, self.grid.step)

    def _refuse_native(self, family: catalogue.Family) -> None:
        """Refuse a histogram that Prometheus has converted, because all its times would be missing without a reason."""
        if self.gauge(f"count ({family.name})"):
            raise TooLittleDataError(
                f"{self.api.url} keeps {family.name} as a native histogram only, which chatvitals cannot read. "
                "Set always_scrape_classic_histograms: true for the bot's job."
            )

    def _first_moments(self) -> dict[str, int]:
        query = f"max by (job) ({catalogue.BUILD_INFO.name})"
        return {series.labels.get("job", ""): self.grid.index(series.points[0][0]) for series in self.gauge(query)}

    def _grown(self, found: list[Series], names: tuple[str, ...], *, whole: bool) -> dict[tuple[str, ...], list[float]]:
        grown: dict[tuple[str, ...], list[float]] = {}
        earlier: dict[tuple[str, ...], list[tuple[int, float]]] = {}
        for series in sorted(found, key=lambda each: each.points[0][0]):
            first = self.grid.index(series.points[0][0])
            known = self._known.get(series.labels.get("job", ""), first)
            labels = tuple(series.labels.get(name, "") for name in names)
            total = grown.setdefault(labels, [0.0] * self.grid.count)
            ended = earlier.setdefault(labels, [])
            before = series.points[0][1]
            if known >= first:  # the job is as new as its series
                before -= _carried_on(ended, first, before)
            ended.append((self.grid.index(series.points[-1][0]), series.last))
            growth = before if whole or known < first else 0.0
            steps = {first: growth}
            for (_, value), (at, after) in pairwise(series.points):
                growth += after - value if after >= value else after
                steps[self.grid.index(at)] = growth
            _add_steps(total, steps)
        return grown


def _carried_on(ended: list[tuple[int, float]], first: int, value: float) -> float:
    """Return the counts that a series took over from a renamed job, or 0 where there is none."""
    return max((last for index, last in ended if index <= first + 1 and last <= value), default=0.0)


def _add_steps(total: list[float], steps: dict[int, float]) -> None:
    moments, level = sorted(steps), 0.0
    for index in range(moments[0], len(total)):
        level = steps[moments[bisect_right(moments, index) - 1]]
        total[index] += level


def known_span(api: PrometheusApi, until: float, days: float = LONGEST_DAYS) -> tuple[float, float]:
    """Return the times of the first and the last sample of chatvitals, to half an hour.

    Args:
        api: the Prometheus to query.
        until: Unix seconds. Later samples are left out.
        days: how far back to look.

    Raises:
        TooLittleDataError: there is no sample in that time.

    """
    step = max(FINEST, math.ceil(days * DAY / MOST_POINTS / FINEST) * FINEST)
    last = until // step * step
    query = f"max ({catalogue.BUILD_INFO.name})"
    found = api.query_range(query, last - math.floor(days * DAY / step) * step, last, step)
    if not found:  # a bot that began a few minutes ago is not on this grid yet
        found = api.query_range(query, until - math.ceil(step / 60.0) * 60.0, until, 60.0)
    if not found:
        raise TooLittleDataError(
            f"{api.url} holds no metrics of chatvitals from the last {days:g} days. Does it scrape the bot?"
        )
    return found[0].points[0][0], found[0].points[-1][0]
