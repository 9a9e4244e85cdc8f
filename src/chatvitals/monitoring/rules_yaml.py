"""Rules as YAML that a person can read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring.alerts import RUNBOOK, alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective

if TYPE_CHECKING:
    from chatvitals.monitoring.alerts import Alert

GROUPS: Final = (
    "chatvitals-recording",
    *(f"chatvitals-{component}" for component in dict.fromkeys(alert.component for alert in alerts(Objective()))),
)
"""Names of the groups of rules, in the order in which they build on each other."""
_HEAD = "# Made by `chatvitals assets`: {what}, for an objective of {share:g} within {threshold} s.\n"


def recording_rules(objective: Objective) -> str:
    """Return the file of recording rules."""
    lines = [_head("recording rules", objective), "groups:", f"  - name: {GROUPS[0]}", "    interval: 1m"]
    lines.append("    rules:")
    for rule in recordings(objective):
        lines += [f"      - record: {rule.name}", *_block("expr", rule.expr)]
    return "\n".join(lines) + "\n"


def alerting_rules(objective: Objective) -> str:
    """Return the file of alerting rules, a group per component."""
    lines = [_head("alerting rules", objective), "groups:"]
    by_component: dict[str, list[Alert]] = {}
    for alert in alerts(objective):
        by_component.setdefault(alert.component, []).append(alert)
    for component, rules in by_component.items():
        lines += [f"  - name: chatvitals-{component}", "    rules:"]
        for rule in rules:
            lines += _alert(rule)
    return "\n".join(lines) + "\n"


def _head(what: str, objective: Objective) -> str:
    return _HEAD.format(what=what, share=objective.share, threshold=objective.threshold).rstrip()


def _alert(rule: Alert) -> list[str]:
    lines = [f"      - alert: {rule.name}", *_block("expr", rule.expr)]
    if rule.hold:
        lines.append(f"        for: {rule.hold}")
    if rule.keep:
        lines.append(f"        keep_firing_for: {rule.keep}")
    lines += ["        labels:", f"          severity: {rule.severity}", f"          component: {rule.component}"]
    lines += [f"          {name}: {json.dumps(value)}" for name, value in rule.labels.items()]
    lines += [
        "        annotations:",
        f"          summary: {_quoted(rule.summary)}",
        f"          description: {_quoted(rule.description)}",
        f"          runbook_url: {RUNBOOK}#{rule.name.lower()}",
        f"          dashboard_uid: {rule.dashboard}",
    ]
    return lines


def _block(key: str, text: str) -> list[str]:
    return [f"        {key}: |-", *(f"          {line}" for line in text.splitlines())]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
