"""The times at which each version of the bot ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatvitals.analysis.errors import WrongNameError, listed, printable
from chatvitals.analysis.periods import Period
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.history import Grid
    from chatvitals.analysis.prometheus_api import PrometheusApi


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
    query = f"max by (version, app_version) ({catalogue.BUILD_INFO.name})"
    spans: dict[str, list[Period]] = {}
    for series in api.query_range(query, over.start, over.end, over.step):
        name = printable(series.labels.get("app_version") or f"chatvitals {series.labels.get('version', '')}")
        for at, _ in series.points:
            known = spans.setdefault(name, [])
            if known and at - known[-1].end <= over.step * 1.5:
                known[-1] = Period(known[-1].start, at, name)
            else:
                known.append(Period(at, at, name))
    last = over.end
    for name, known in spans.items():
        # a version runs until the next sample shows another one
        spans[name] = [Period(each.start, min(each.end + over.step, last), name) for each in known]
        spans[name] = [each for each in spans[name] if each.end > each.start]
    return {name: known for name, known in spans.items() if known}


def deploys(spans: dict[str, list[Period]], over: Grid) -> list[Deploy]:
    """Return each change of the version, the earliest first. A restart of the same version is not a change."""
    found: list[Deploy] = []
    latest = ""
    for period in sorted((each for known in spans.values() for each in known), key=lambda each: each.start):
        if period.name != latest and period.start > over.start:
            found.append(Deploy(period.name, latest, period.start))
        latest = period.name
    return found


def periods_of(spans: dict[str, list[Period]], version: str, option: str) -> list[Period]:
    """Return the periods in which a version ran.

    Raises:
        WrongNameError: the version did not run in this time.

    """
    if version not in spans:
        raise WrongNameError(f"{option}: version {printable(version)} did not run. These ran: {listed(spans)}")
    return spans[version]
