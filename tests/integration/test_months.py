"""A few of the months, on a real Prometheus: incidents page in time, a quiet month is quiet.

`python -m tests.months` evaluates all of them. The ceilings below may only get better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.simulator.months import DAYS, MONTHS
from chatvitals.simulator.story import DAY
from tests.months.episodes import episodes, firing
from tests.months.history import STEP, recorded
from tests.months.verdict import Verdict, by_alert

if TYPE_CHECKING:
    from pathlib import Path

SINCE = 9 * DAY
PAGES_WITHIN = {"dead-step": 1.0, "token": 1.0, "small-dead": 1.25, "meta-silent": 0.75}
"""Hours from the incident to the first page."""
QUIET = ["thanks", "people"]
"""The months with the most false alerts, before the rules knew closing remarks and opening hours."""
WARNINGS_A_DAY = 0.0
PRECISION = 0.8

pytestmark = pytest.mark.slow


def judged(name: str, folder: Path) -> Verdict:
    """Return the last two days of a month."""
    with recorded(name, folder, since=SINCE) as month:
        return Verdict(name, month.begins, month.ends, episodes(month, since=SINCE), days=DAYS - SINCE / DAY)


@pytest.mark.parametrize("name", PAGES_WITHIN)
def test_an_incident_pages_in_time_and_nothing_else_does(name: str, tmp_path: Path) -> None:
    """Before the incident there is no page, and no alert is mostly wrong."""
    verdict = judged(name, tmp_path)
    delay = verdict.delay("critical")
    assert delay is not None
    assert delay <= PAGES_WITHIN[name]
    assert verdict.false_pages() == 0
    assert min(record.precision for record in by_alert([verdict]).values()) >= PRECISION


@pytest.mark.parametrize("name", QUIET)
def test_a_quiet_month_is_quiet(name: str, tmp_path: Path) -> None:
    """Customers say thanks, and the bot says nothing. People answer in opening hours only: nobody need act."""
    verdict = judged(name, tmp_path)
    assert verdict.of("critical") == []
    assert verdict.false_warnings_a_day() <= WARNINGS_A_DAY


def test_there_are_eighteen_months() -> None:
    """Nine quiet ones, six with an incident that should page, three others."""
    assert len(MONTHS) == 18
    assert sum(plan.incident is None for plan in MONTHS.values()) == 9
    assert sum(plan.incident is not None and plan.incident.pages for plan in MONTHS.values()) == 6


def test_an_alert_fires_after_its_hold_and_outlives_its_condition_for_its_keep() -> None:
    """As Prometheus does: a gap that is shorter than `keep_firing_for` ends nothing."""
    holds_for_15m, kept_for_30m = 900.0, 1800.0
    times = [float(at) for at in (*range(0, 3600, STEP), *range(4800, 6000, STEP), *range(20_000, 20_600, STEP))]
    assert list(firing(holds_for_15m, kept_for_30m, times)) == [(900.0, 5700.0 + kept_for_30m)]
