"""The time and the numbers of a report, with their counters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatvitals.analysis.deploys import version_spans
from chatvitals.analysis.errors import TooLittleDataError
from chatvitals.analysis.history import DAY, HOUR, History, fine_grid, grid, known_span
from chatvitals.analysis.numbers import Number, chosen, known_numbers
from chatvitals.analysis.periods import Calendar, Period
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.history import Counts
    from chatvitals.analysis.prometheus_api import PrometheusApi


@dataclass(slots=True)
class Scope:
    """The time, the numbers and the data of a report.

    Args:
        api: the Prometheus to query.
        calendar: the time zone.
        numbers: the business numbers.
        period: the period of the report.
        known: the period that the history covers.
        history: counters over the whole known time that the report needs.
        versions: periods in which each version of the bot ran, within the report's period.

    """

    api: PrometheusApi
    calendar: Calendar
    numbers: list[Number]
    period: Period
    known: Period
    history: History
    versions: dict[str, list[Period]]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the numbers."""
        return tuple(number.id for number in self.numbers)

    def counts(self, name: str, by: str, matching: str = "") -> Counts | None:
        """Return a counter by its name without the prefix, or None where it is not measured.

        A counter is not measured where this version or the bot does not know it.
        """
        family = catalogue.FAMILIES.get(f"chatvitals_{name}")
        if family is None:
            return None
        found = self.history.counts(family, by, matching)
        return found if found.grown else None

    def versions_in_order(self) -> list[tuple[str, list[Period]]]:
        """Return the versions in the order of their first appearance."""
        return sorted(self.versions.items(), key=lambda item: item[1][0].start)


def scope(
    api: PrometheusApi,
    calendar: Calendar,
    *,
    start: str | None = None,
    end: str | None = None,
    days: float = 30.0,
    number: str | None = None,
) -> Scope:
    """Return the scope for the given options.

    Args:
        api: the Prometheus to query.
        calendar: the time zone.
        start: start of the period, as text. The default is `days` before the end.
        end: end of the period. The default is now.
        days: length of a period without a start.
        number: the business number. The default is all numbers.

    Raises:
        SourceUnavailableError: Prometheus cannot be read.
        TooLittleDataError: the period lies outside the known history.
        WrongNameError: an option cannot be understood.

    """
    first, last = known_span(api, calendar.now)
    known = Period(first, last)
    until = min(calendar.moment(end, "--to"), last) if end else last
    since = calendar.moment(start, "--from") if start else until - days * DAY
    if start and since < first - HOUR:
        raise TooLittleDataError(
            f"{calendar.write(since)} is not known. Prometheus holds {calendar.write(first)} to "
            f"{calendar.write(last)}, which is {known.days:.0f} days."
        )
    if first >= last:
        raise TooLittleDataError("Prometheus has metrics of chatvitals for a few minutes only. Try again in an hour.")
    since = max(since, first)
    if since >= until:
        raise TooLittleDataError(f"The period is empty: {calendar.write(since)} is not before {calendar.write(until)}.")
    numbers = known_numbers(api, first, until)
    steps = math.floor((since - first) / HOUR)
    over = grid([since - steps * HOUR, since, until])
    spans = version_spans(api, fine_grid(since, until))
    meant = numbers if number is None else [chosen(numbers, number)]
    return Scope(api, calendar, meant, Period(since, until), known, History(api, over), spans)
