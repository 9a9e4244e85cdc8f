"""Rules and dashboards mean the same in Prometheus 2.42, in 3.x and in vmalert."""

from __future__ import annotations

import re

import pytest

from chatvitals.monitoring.alerts import Alert, alerts
from chatvitals.monitoring.recording_rules import Recording, recordings
from chatvitals.monitoring.slo import Objective
from tests.helpers.grafana import PAGES, asked, expanded, page, selectors

RENAMED = r"\b(holt_winters|double_exponential_smoothing|info|limitk|limit_ratio|mad_over_time|sort_by_label)\s*\("
"""Functions that one of them lacks, or has under another name."""


def wrong(expr: str) -> list[str]:
    """Return what another version would read differently."""
    found = re.findall(RENAMED, expr)
    found += re.findall(r'\ble\s*(?:!=|=~|!~|=)\s*"[^"]*"', expr)  # 3.x writes le="1.0" where 2.x has le="1"
    found += [f"a UTF-8 name: {name}" for name in re.findall(r'\{\s*"[^"]+"', expr)]
    return found + re.findall(r"\b(?:smoothed|anchored|fill|step\(\)|range\(\))", expr)


def test_every_query_means_the_same_in_every_version() -> None:
    """No function that was renamed, no bucket by the text of its bound, no syntax of 3.x alone."""
    rules: list[Alert | Recording] = [*recordings(Objective()), *alerts(Objective())]
    queries = [rule.expr for rule in rules]
    for path in PAGES:
        content = page(path)
        queries += [expanded(query.expr) for query in asked(content)] + [expanded(each) for each in selectors(content)]
    assert len(queries) > 200
    assert {query: found for query in queries if (found := wrong(query))} == {}


@pytest.mark.parametrize(
    "expr", ["holt_winters(x[1h], 0.5, 0.5)", 'sum(rate(x_bucket{le="60"}[5m]))', '{"x.y"}', "info(x)"]
)
def test_the_check_finds_what_is_wrong(expr: str) -> None:
    """Else it could not fail."""
    assert wrong(expr)
