"""When alerts fired in a month: Prometheus's states of an alert, computed from when its condition held."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.slo import Objective
from tests.months.history import STEP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.monitoring.alerts import Alert
    from tests.months.history import Recorded

_UNITS: Final = {"": 0.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True, slots=True)
class Episode:
    """One firing of an alert, in Unix seconds."""

    alert: str
    severity: str
    begins: float
    ends: float


def episodes(month: Recorded, *, since: float = 0.0) -> list[Episode]:
    """Return all episodes of a month, in order."""
    found = []
    for alert in alerts(Objective()):
        for _, times in month.over(alert.expr, since):
            fired = firing(_seconds(alert.hold), _seconds(alert.keep), times)
            found += [Episode(_named(alert), alert.severity, *each) for each in fired]
    return sorted(found, key=lambda each: each.begins)


def firing(hold: float, keep: float, times: list[float]) -> Iterator[tuple[float, float]]:
    """Yield when an alert began and ended to fire, for one series whose condition held at `times`.

    Args:
        hold: the rule's `for`, in seconds.
        keep: its `keep_firing_for`, in seconds.
        times: evaluations at which the condition held, in Unix seconds.

    """
    pending: float | None = None
    since: float | None = None
    before = 0.0
    for at in times:
        gap = at - before > STEP
        if since is not None and at - before > keep + STEP:
            yield since, before + keep
            since, pending = None, None
        if since is None:
            if gap or pending is None:
                pending = at
            if at - pending >= hold:
                since = at
        before = at
    if since is not None:
        yield since, before + keep


def _seconds(duration: str) -> float:
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([mhd])", duration))


def _named(alert: Alert) -> str:
    long = alert.labels.get("long", "")
    return f"{alert.name} {long}".strip()
