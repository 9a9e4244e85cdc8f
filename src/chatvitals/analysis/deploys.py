"""The times at which each version of the bot ran."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import TYPE_CHECKING, Final

from chatvitals.analysis.errors import WrongNameError, listed, printable
from chatvitals.analysis.periods import Period
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.analysis.history import Grid
    from chatvitals.analysis.prometheus_api import PrometheusApi


_FEWEST_GAPS: Final = 3
_FURTHEST_SAMPLES: Final = 7200.0  # seconds; a longer gap is an outage


@dataclass(frozen=True, slots=True)
class Deploy:
    """A version that began to run.

    Args:
        version: the new `app_version`, or the version of chatvitals where the bot sets no `app_version`.
        before: the version that ran before. It is empty for the first version.
        at: when it was first seen, in Unix seconds.

    """

    version: str
    before: str
    at: float


def version_spans(api: PrometheusApi, over: Grid) -> dict[str, list[Period]]:
    """Return the periods in which each version ran. Where two versions run at once, the time belongs to both.

    Args:
        api: the Prometheus to query.
        over: the grid of times to look at.

    """
    seen: dict[str, set[float]] = {}
    for moments in _moments(api, over).values():
        for name, at in moments.items():
            seen.setdefault(name, set()).update(at)
    return _spans(seen, over)


def deploys(api: PrometheusApi, over: Grid, number: str = "") -> list[Deploy]:
    """Return each change of a bot's version, the earliest first. A restart of the same version is not a change.

    Args:
        api: the Prometheus to query. Each of its jobs is one bot.
        over: the grid of times to look at.
        number: `phone_number_id` of a business number, whose bots alone count. The empty string stands for all bots.

    """
    found: set[Deploy] = set()
    bots = {
        job: sorted((each for known in _spans(moments, over).values() for each in known), key=lambda each: each.start)
        for job, moments in _moments(api, over).items()
    }
    every = [each for bot in bots.values() for each in bot]
    for job in (bots.keys() & _jobs_of(api, over, number) if number else ()) or bots:
        for period in bots[job]:
            # a job without a past may be another one that was renamed
            ran = _just_before(period, bots[job]) or _just_before(period, every)
            if period.name not in ran and period.start > over.start:
                found.add(Deploy(period.name, ran[-1] if ran else "", period.start))
    return sorted(found, key=lambda each: each.at)


def _jobs_of(api: PrometheusApi, over: Grid, number: str) -> set[str]:
    """Return the jobs that show a business number."""
    query = f"group by (job) ({catalogue.QUALITY_RATING.name}{{phone_number_id={json.dumps(number)}}})"
    return {series.labels.get("job", "") for series in api.query_range(query, over.start, over.end, over.step)}


def _moments(api: PrometheusApi, over: Grid) -> dict[str, dict[str, set[float]]]:
    """Return the times at which each job showed each version."""
    query = f"max by (job, version, app_version) ({catalogue.BUILD_INFO.name})"
    found: dict[str, dict[str, set[float]]] = {}
    for series in api.query_range(query, over.start, over.end, over.step):
        name = printable(series.labels.get("app_version") or f"chatvitals {series.labels.get('version', '')}")
        # chatvitals may have been updated below the same version of the bot: then two series have one name
        versions = found.setdefault(series.labels.get("job", ""), {})
        versions.setdefault(name, set()).update(at for at, _ in series.points)
    return found


def _spans(seen: dict[str, set[float]], over: Grid) -> dict[str, list[Period]]:
    """Return the periods of each version without a gap. A version runs until the next sample shows another."""
    spans: dict[str, list[Period]] = {}
    apart = spacing({at for moments in seen.values() for at in moments}, over)
    for name, moments in seen.items():
        known: list[Period] = []
        for at in sorted(moments):
            end = min(at + apart, over.end)
            if known and at - known[-1].end <= over.step * 0.5:
                known[-1] = Period(known[-1].start, end, name)
            elif end > at:
                known.append(Period(at, end, name))
        if known:
            spans[name] = known
    return spans


def spacing(moments: Iterable[float], over: Grid) -> float:
    """Return the usual seconds between two samples, at least the step of the grid.

    Prometheus shows a sample for five minutes. Samples further apart, such as those of a simulated month, leave most
    times of the grid without a value. Outages do so more seldom.
    """
    apart = [after - before for before, after in pairwise(sorted(moments))]
    gaps = [each for each in apart if each > over.step * 1.5]
    if len(gaps) < _FEWEST_GAPS or sum(gaps) * 2 < sum(apart) or (usual := median_low(gaps)) > _FURTHEST_SAMPLES:
        return over.step
    return usual


def _just_before(period: Period, periods: list[Period]) -> list[str]:
    """Return the versions that ran last before a period."""
    before = [each for each in periods if each.start < period.start]
    latest = max((min(each.end, period.start) for each in before), default=0.0)
    return [each.name for each in before if min(each.end, period.start) == latest]


def periods_of(spans: dict[str, list[Period]], version: str, option: str) -> list[Period]:
    """Return the periods in which a version ran.

    Raises:
        WrongNameError: the version did not run in this time.

    """
    if version not in spans:
        raise WrongNameError(f"{option}: version {printable(version)} did not run. These ran: {listed(spans)}")
    return spans[version]
