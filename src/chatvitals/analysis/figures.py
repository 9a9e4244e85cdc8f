"""The figures of one business number over some periods, as counts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.analysis.statistics import Share
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.analysis.history import Counts, History
    from chatvitals.analysis.periods import Period

BOUNDS: Final = (*catalogue.WAIT_SECONDS.buckets, math.inf)
NO_ANSWER: Final = ("unanswered", "failed")
ABANDONED: Final = ("abandoned_by_user", "abandoned_by_business")


@dataclass(slots=True)
class Figures:
    """Counts and shares over some periods. A share is NaN where nothing was counted."""

    turns: float = 0.0
    responses: Share = field(default_factory=lambda: Share(0, 0))
    """Sum of seconds of the first response of each turn, and their number. The value is the average."""
    first_waits: dict[float, float] = field(default_factory=dict)
    """First turns of conversations by the upper bound of their wait in seconds. Unanswered turns are infinite."""
    over_minute: Share = field(default_factory=lambda: Share(0, 0))
    no_answer: Share = field(default_factory=lambda: Share(0, 0))
    not_understood: Share = field(default_factory=lambda: Share(0, 0))
    completed: dict[str, Share] = field(default_factory=dict)
    """Completed runs of all ended runs, by journey."""
    left_at: dict[tuple[str, str], Share] = field(default_factory=dict)
    """Abandoned runs of all ended runs that reached a step, by journey and step."""
    read: Share = field(default_factory=lambda: Share(0, 0))
    opt_outs: Share = field(default_factory=lambda: Share(0, 0))
    """Opt-outs per delivered message."""
    failed: Share = field(default_factory=lambda: Share(0, 0))
    campaigns: float = 0.0


class FigureReader:
    """Reader of figures from a history. Each counter is queried once, for all numbers and periods.

    Args:
        history: a history that covers all periods.

    """

    def __init__(self, history: History) -> None:
        number = catalogue.NUMBER
        counts = history.counts
        self.history = history
        self.opened: Counts = counts(catalogue.TURNS_OPENED, number)
        self.overdue: Counts = counts(catalogue.TURNS_OVERDUE, number, 'threshold="60"')
        self.ended: Counts = counts(catalogue.TURNS, f"{number} outcome")
        self.response_count: Counts = counts(catalogue.RESPONSE_SECONDS, f"{number} le", 'le="+Inf"')
        self.response_sum: Counts = counts(catalogue.RESPONSE_SECONDS, number)
        self.waits: Counts = counts(catalogue.WAIT_SECONDS, f"{number} le", 'turn="first"')
        self.fallbacks: Counts = counts(catalogue.FALLBACKS, number)
        self.started: Counts = counts(catalogue.JOURNEY_RUNS_STARTED, f"{number} journey")
        self.runs: Counts = counts(catalogue.JOURNEY_RUNS, f"{number} journey outcome")
        self.step_ended: Counts = counts(catalogue.JOURNEY_STEP_ENDED, f"{number} journey step")
        self.dropped: Counts = counts(catalogue.JOURNEY_STEP_DROPPED, f"{number} journey step outcome")
        self.statuses: Counts = counts(catalogue.MESSAGE_STATUSES, f"{number} status category")
        self.failures: Counts = counts(catalogue.MESSAGE_FAILURES, number)
        self.opt_outs: Counts = counts(catalogue.OPT_OUTS, number)
        self._order = step_order(history)
        self.sends: Counts = counts(catalogue.SENDS, f"{number} kind", 'result="accepted"')

    def figures(self, number: str, periods: Sequence[Period]) -> Figures:
        """Return the figures of a number over some periods together."""

        def total(counts: Counts, **where: str | Sequence[str]) -> float:
            return sum(counts.between(each.start, each.end, phone_number_id=number, **where) for each in periods)

        opened, delivered = total(self.opened), total(self.statuses, status="delivered")
        bounds = {le: float(le) for le in self.waits.values("le")}
        upto = {bounds[le]: total(self.waits, le=le) for le in bounds}
        journeys = sorted({labels[1] for labels in self.runs.grown if labels[0] == number})
        known = {labels[1:] for labels in self.step_ended.grown if labels[0] == number}
        steps = sorted(known, key=lambda step: (step[0], self._order.get(step, math.inf), step[1]))
        return Figures(
            turns=opened,
            responses=Share(total(self.response_sum), total(self.response_count)),
            first_waits=apart(upto),
            over_minute=Share(min(total(self.overdue), opened), opened),
            no_answer=_share(total(self.ended, outcome=NO_ANSWER), total(self.ended)),
            not_understood=_share(total(self.fallbacks), opened),
            completed={
                journey: Share(
                    total(self.runs, journey=journey, outcome="completed"), total(self.runs, journey=journey)
                )
                for journey in journeys
            },
            left_at={
                (journey, step): _share(
                    total(self.dropped, journey=journey, step=step), total(self.step_ended, journey=journey, step=step)
                )
                for journey, step in steps
            },
            read=_share(total(self.statuses, status="read"), delivered),
            opt_outs=_share(total(self.opt_outs), delivered),
            failed=failed_of(total(self.statuses, status="sent"), delivered, total(self.failures)),
            campaigns=total(self.sends, kind="campaign"),
        )


def step_order(history: History) -> dict[tuple[str, ...], float]:
    """Return the declared place of each step, by journey and step."""
    query = f"max by (journey, step, index) (last_over_time({catalogue.JOURNEY_STEP_INFO.name}[1d]))"
    found = history.api.query(query, history.grid.end)
    return {
        (series.labels["journey"], series.labels["step"]): float(series.labels.get("index", "inf")) for series in found
    }


def apart(upto: dict[float, float]) -> dict[float, float]:
    """Return the counts of each bucket from the cumulative counts of a histogram."""
    found, below = {}, 0.0
    for bound in sorted(upto):
        found[bound] = max(upto[bound] - below, 0.0)
        below = max(upto[bound], below)
    return found


def failed_of(sent: float, delivered: float, failed: float) -> Share:
    """Return the share of failed messages.

    A message that fails has often no status before, and sometimes the status `sent`.

    Example:
        >>> failed_of(sent=60, delivered=60, failed=20).value
        0.25

    """
    return Share(failed, max(sent, delivered + failed))


def _share(count: float, total: float) -> Share:
    """Return a share of at most 1. A counted event may belong to a turn from before the period."""
    return Share(min(count, total), total)
