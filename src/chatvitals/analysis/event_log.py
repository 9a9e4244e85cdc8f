"""Dated events: events that Meta sent, and changes of the bot."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chatvitals.analysis.deploys import deploys, spacing
from chatvitals.analysis.errors import printable
from chatvitals.analysis.history import DAY, HOUR, Grid, History
from chatvitals.analysis.rating_changes import RATINGS
from chatvitals.analysis.wording import counted, span
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.analysis.prometheus_api import PrometheusApi

OUTAGE_SECONDS: Final = 900.0
"""A gap in all metrics of at least this many seconds is an outage."""
BURST: Final = 5
"""This many customers that pass an hour of waiting within one hour are a burst."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One event.

    Args:
        at: Unix seconds.
        what: the event as a sentence without a full stop.
        kind: `deploy`, `template`, `account`, `journey`, `outage` or `burst`.

    """

    at: float
    what: str
    kind: str


class EventLog:
    """Reader of dated events on a fine grid.

    Args:
        api: the Prometheus to query.
        over: the times to look at, at most 10,000.

    """

    def __init__(self, api: PrometheusApi, over: Grid) -> None:
        self._api = api
        self._grid = over
        self._history = History(api, over)

    def from_meta(self) -> list[LogEntry]:
        """Return template, account and restriction events, the earliest first."""
        return sorted((*self._template_qualities(), *self._template_statuses(), *self._account()), key=lambda e: e.at)

    def of_the_bot(self, number: str) -> list[LogEntry]:
        """Return deploys, changes of journeys, first sends of templates, outages and bursts, the earliest first."""
        return sorted(
            (
                *self._deploys(number),
                *self._journeys(),
                *self._first_sends(number),
                *self._outages(),
                *self._bursts(number),
            ),
            key=lambda entry: entry.at,
        )

    def _range(self, query: str) -> Iterator[tuple[dict[str, str], list[tuple[float, float]]]]:
        for series in self._api.query_range(query, self._grid.start, self._grid.end, self._grid.step):
            yield series.labels, series.points

    def _template_qualities(self) -> Iterator[LogEntry]:
        for labels, points in self._range(f"max by (template, language) ({catalogue.TEMPLATE_QUALITY.name}) > 0"):
            for (_, before), (at, after) in pairwise(points):
                if before != after:
                    ratings = f"{RATINGS[round(before)]} → {RATINGS[round(after)]}"
                    yield LogEntry(at, f"template {printable(labels['template'])} {ratings}", "template")

    def _template_statuses(self) -> Iterator[LogEntry]:
        counts = self._history.counts(catalogue.TEMPLATE_STATUS_CHANGES, "template status reason")
        for (template, status, reason), values in counts.grown.items():
            because = f" ({printable(reason)})" if reason not in {"", "NONE"} else ""
            yield from self._rises(values, f"template {printable(template)} {printable(status)}{because}", "template")

    def _account(self) -> Iterator[LogEntry]:
        counts = self._history.counts(catalogue.ACCOUNT_EVENTS, "field event")
        for (name, event), values in counts.grown.items():
            if not name.startswith("message_template_"):
                yield from self._rises(values, f"{printable(name)}: {printable(event)}", "account")
        query = f"max by (waba_id, restriction) ({catalogue.RESTRICTION_EXPIRES.name})"
        for labels, points in self._range(query):
            if points[0][0] > self._grid.start:
                yield LogEntry(points[0][0], f"restriction {printable(labels.get('restriction', ''))}", "account")

    def _rises(self, values: list[float], what: str, kind: str) -> Iterator[LogEntry]:
        for index, (before, after) in enumerate(pairwise(values), 1):
            if after > before:
                yield LogEntry(self._grid.start + index * self._grid.step, what, kind)

    def _deploys(self, number: str) -> Iterator[LogEntry]:
        for each in deploys(self._api, self._grid, number):
            what = f"bot {each.before} → {each.version}" if each.before else f"bot {each.version}"
            yield LogEntry(each.at, what, "deploy")

    def _journeys(self) -> Iterator[LogEntry]:
        query = f"count by (journey, step, index) ({catalogue.JOURNEY_STEP_INFO.name})"
        for labels, points in self._range(query):
            name = f"{printable(labels['journey'])}/{printable(labels['step'])}"
            if points[0][0] > self._grid.start + self._grid.step:
                yield LogEntry(points[0][0], f"step {name} declared at place {labels.get('index', '')}", "journey")

    def _first_sends(self, number: str) -> Iterator[LogEntry]:
        by = "phone_number_id template language"
        counts = self._history.counts(catalogue.TEMPLATE_MESSAGES, by, 'status="sent"', whole=True)
        for (owner, template, _), values in counts.grown.items():
            first = next((index for index, value in enumerate(values) if value > 0), 0)
            if owner == number and first * self._grid.step > DAY:  # an earlier send may lie before the known history
                at = self._grid.start + first * self._grid.step
                yield LogEntry(at, f"template {printable(template)} sent for the first time", "template")

    def _outages(self) -> Iterator[LogEntry]:
        for labels, points in self._range(f"max by (job) ({catalogue.BUILD_INFO.name})"):
            apart = spacing((at for at, _ in points), self._grid)
            for (last, _), (at, _) in pairwise(points):
                if at - last - apart >= OUTAGE_SECONDS:
                    job = printable(labels.get("job", ""))
                    yield LogEntry(last + apart, f"no metrics of {job} for {span(at - last)}", "outage")

    def _bursts(self, number: str) -> Iterator[LogEntry]:
        counts = self._history.counts(catalogue.TURNS_OVERDUE, catalogue.NUMBER, 'threshold="3600"')
        at, quiet_until = self._grid.start + HOUR, 0.0
        while at <= self._grid.end:
            late = counts.between(at - HOUR, at, phone_number_id=number)
            if late >= BURST and at >= quiet_until:
                yield LogEntry(at - HOUR, f"{counted(late, 'customer')} had waited for an hour", "burst")
                quiet_until = at + 24 * HOUR
            at += HOUR
