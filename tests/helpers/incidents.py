"""Incidents and near-incidents as input of promtool: what happens, and when an alert fires."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    Value = Callable[[float], float | None]

HOUR: Final = 60
DAY: Final = 24 * HOUR
WEEK: Final = 7 * DAY
EVER: Final = 1000 * DAY
_FIRING: Final = 'count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"{where}}})'


@dataclass(frozen=True, slots=True)
class Series:
    """A series as a function of the minute. None is no sample."""

    name: str
    value: Value
    labels: dict[str, str] = field(default_factory=dict)

    def hidden(self, begins: float, ends: float) -> Series:
        """Return the series without its samples between two minutes: a gap, a deploy or a store that is away."""
        return Series(self.name, lambda at: None if begins <= at < ends else self.value(at), self.labels)


@dataclass(frozen=True, slots=True)
class Incident:
    """What happens to one alert's series. The alert fires at some minutes and is quiet at others."""

    about: str
    alert: str
    series: tuple[Series, ...]
    fires: tuple[int, ...] = ()
    quiet: tuple[int, ...] = ()
    scrape: float = 1.0
    """Minutes between two samples."""
    evaluated: int = 1
    """Minutes between two evaluations."""
    where: str = ""
    """Further matchers of the alerts that are looked at."""


def always(value: float) -> Value:
    """Return a gauge that stays the same."""
    return lambda _: value


def between(*spans: tuple[float, float, float]) -> Value:
    """Return a gauge with a value in each span from a minute to another one."""

    def value(at: float) -> float | None:
        return next((found for begins, ends, found in spans if begins <= at < ends), None)

    return value


def times(minutes: Collection[float], since: float = 0.0) -> Value:
    """Return a counter of what happens at these minutes. Before `since` there is no series."""
    return lambda at: None if at < since else float(sum(minute <= at for minute in minutes))


def growing(*phases: tuple[float, float]) -> Value:
    """Return a counter that grows for so many minutes by so much a minute, phase by phase."""

    def value(at: float) -> float:
        found = 0.0
        for minutes, a_minute in phases:
            found += a_minute * min(at, minutes)
            at -= min(at, minutes)
        return found

    return value


def run(incident: Incident, folder: Path) -> str:
    """Evaluate the alert's rules over the incident. Return what promtool says, or nothing if all is as expected."""
    groups = groups_of(incident.alert)
    looks = [(minute, True) for minute in incident.fires] + [(minute, False) for minute in incident.quiet]
    last = max(minute for minute, _ in looks)
    name = f'{{alertname="{incident.alert}"}}'
    firing = _FIRING.format(name=incident.alert, where=f",{incident.where}" if incident.where else "")
    test = {
        "interval": f"{round(incident.scrape * 60)}s",
        "input_series": [_input(each, incident.scrape, last) for each in incident.series],
        "promql_expr_test": [
            {
                "expr": f"{firing} > bool 0",
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": name, "value": 1}] if fires else [],
            }
            for minute, fires in sorted(looks)
        ],
    }
    told = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{incident.evaluated}m",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [test],
    }
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    (folder / "test.yml").write_text(yaml.safe_dump(told))
    command = [require("promtool"), "test", "rules", str(folder / "test.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def groups_of(alert: str) -> list[dict[str, Any]]:
    """Return the groups of an alert's rules alone, and of the series that they read."""
    rules = [rule for rule in alerts(Objective()) if rule.name == alert]
    read, records = {name for rule in rules for name in _recorded(rule.expr)}, recordings(Objective())
    read |= {name for rule in records if rule.name in read for name in _recorded(rule.expr)}
    groups: list[dict[str, Any]] = [
        {"name": rule.name, "rules": [{"record": rule.name, "expr": rule.expr}]}
        for rule in records
        if rule.name in read
    ]
    fields = [
        {"alert": rule.name, "expr": rule.expr, "for": rule.hold, "keep_firing_for": rule.keep, "labels": rule.labels}
        for rule in rules
    ]
    found = [{name: value for name, value in rule.items() if value} for rule in fields]
    return [*groups, {"name": "alerts", "rules": found}]


def _recorded(expression: str) -> list[str]:
    """Return the recorded series that an expression reads."""
    return re.findall(r"(?:job|phone_number_id\w*):[\w:]+", expression)


def _input(series: Series, scrape: float, minutes: float) -> dict[str, str]:
    labels = ",".join(f'{name}="{value}"' for name, value in {"job": "bot", "instance": "a", **series.labels}.items())
    values, seen = [], False
    for number in range(math.ceil(minutes / scrape) + 1):
        value = series.value(number * scrape)
        missing = "stale" if seen else "_"
        values.append(missing if value is None else repr(float(value)))
        seen = value is not None
    return {"series": f"{series.name}{{{labels}}}", "values": " ".join(values)}
