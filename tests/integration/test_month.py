"""A simulated month on a real Prometheus: every query of every dashboard finds it, and alerts tell its story."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from chatvitals.cli import simulate
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from chatvitals.simulator.story import DAY, HOUR, STORIES
from tests.helpers.grafana import GRAFANA, PAGES, VALUES, Asked, asked, expanded, page, selectors
from tests.helpers.prometheus import Prometheus, prometheus
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORY = STORIES["quality-drop"]
SLOW, WELL = (line.number for line in STORY.lines)
DAYS = 30.0
EVERY = 240.0
WEEK, MONDAY = 7 * DAY, 4 * DAY  # the epoch was a Thursday
WINDOWS = {"__rate_interval": "16m", "__range": "28d", "__interval": "1h", "window": "6h"}
EMPTY = {
    # what a month without trouble of its own has none of
    "Firing alerts": "history is not alerted on",
    "Oldest wait": "nobody waits at the end",
}


class Month(NamedTuple):
    """A server that holds the month."""

    server: Prometheus
    start: float
    end: float

    def share(self, share: float) -> float:
        """Return when this share of the month was over, to the hour: rules were evaluated then."""
        return math.ceil((self.start + share * DAYS * DAY) / HOUR) * HOUR

    def holds(self, name: str, at: float) -> set[str]:
        """Return for which numbers an alert's condition held; other labels where it is not about a number."""
        found = set()
        for alert in alerts(Objective()):
            if alert.name == name:
                for series in self.server.get("query", query=alert.expr, time=f"{at}")["result"]:
                    found.add(series["metric"].get("phone_number_id") or str(sorted(series["metric"].items())))
        return found

    def first(self, query: str) -> float:
        """Return the first full hour at which a query has a result."""
        series = self.server.get("query_range", query=query, start=f"{self.share(0)}", end=f"{self.end}", step="3600")
        return min(float(at) for each in series["result"] for at, _ in each["values"])


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    """Simulate and backfill it, and then what recording rules would have made of it."""
    folder = tmp_path_factory.mktemp("month")
    end = (time.time() - 4 * HOUR - MONDAY) // WEEK * WEEK + MONDAY  # the same month whenever this runs
    history, data = folder / "history.om", folder / "data"
    assert simulate.run(history, scenario=STORY.name, days=DAYS, seed=1, every=EVERY, end=end) == 0
    _promtool("--max-block-duration=486h", "openmetrics", str(history), str(data))
    history.unlink()
    found = Month(Prometheus("", folder), end - DAYS * DAY, end)
    (folder / "rules").mkdir()
    for rules in (GRAFANA / "rules").glob("*.yml"):  # evaluated at once, not within a minute
        (folder / "rules" / rules.name).write_text(rules.read_text().replace("interval: 1m", "interval: 1s"))
    config = f'{{global: {{evaluation_interval: 1s}}, rule_files: ["{folder}/rules/*.yml"]}}'
    with prometheus(config, folder) as server:
        recorded = folder / "recorded.om"
        recorded.write_text("".join(_recorded(found._replace(server=server))))
    _promtool("--max-block-duration=486h", "openmetrics", str(recorded), str(data))
    with prometheus(config, folder) as server:
        yield found._replace(server=server)
    shutil.rmtree(folder)


def _recorded(month: Month) -> Iterator[str]:
    """Yield what the recording rules would have recorded, at each full hour, as OpenMetrics."""
    period = {"start": f"{month.share(0)}", "end": f"{month.end}", "step": "3600"}
    for rule in recordings(Objective()):
        yield f"# TYPE {rule.name} gauge\n"
        for series in month.server.get("query_range", query=rule.expr, **period)["result"]:
            labels = ",".join(f'{name}="{value}"' for name, value in series["metric"].items())
            yield from (f"{rule.name}{{{labels}}} {value} {at}\n" for at, value in series["values"])
    yield "# EOF\n"


def _promtool(*words: str) -> None:
    command = [require("promtool"), "tsdb", "create-blocks-from", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def test_all_rules_are_loaded_and_healthy(month: Month) -> None:
    """By the server itself, which evaluates them."""
    deadline = time.monotonic() + 90
    while True:
        groups = month.server.get("rules")["groups"]
        states = {rule["name"]: (rule["health"], rule.get("lastError")) for group in groups for rule in group["rules"]}
        if all(health != "unknown" for health, _ in states.values()) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert {name: state for name, state in states.items() if state[0] != "ok"} == {}
    assert {alert.name for alert in alerts(Objective())} <= set(states)


@pytest.fixture(scope="module")
def values(month: Month) -> dict[str, str]:
    """The values of variables, as the dashboards would choose them."""
    drop = month.first(f'chatvitals_quality_rating{{phone_number_id="{SLOW}"}} == 1')
    return {
        **VALUES,
        **WINDOWS,
        "phone": ".+",
        "job": ".*",
        "journey": "order",
        "experiment": "greeting",
        "drop": f"{drop:.0f}",
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_each_query_of_a_dashboard_finds_the_month(month: Month, values: dict[str, str], path: Path) -> None:
    """None fails, and none is empty or only NaN but those that say so."""
    empty = [query for query in asked(page(path)) if not _numbers(month, query, values)]
    assert {query.name for query in empty} <= set(EMPTY), [query.expr for query in empty if query.name not in EMPTY]
    for selector in selectors(page(path)):
        assert _numbers(month, Asked("variable", "", selector, instant=True), values), selector


def _numbers(month: Month, query: Asked, values: dict[str, str]) -> int:
    """Return how many numbers a query gives at the end of the month, or over its last four weeks."""
    text = expanded(query.expr, values)
    if query.instant:
        found = month.server.get("query", query=text, time=f"{month.end}")["result"]
        return sum(each["value"][1] != "NaN" for each in found)
    period = {"start": f"{month.end - 28 * DAY}", "end": f"{month.end}", "step": "3600"}
    found = month.server.get("query_range", query=text, **period)["result"]
    return sum(value != "NaN" for each in found for _, value in each["values"])


def test_who_waits_is_told_before_whatsapp_acts(month: Month) -> None:
    """A few hours after the deploy the objective's alerts hold for the slow number alone; it is still GREEN."""
    at = month.share(STORY.slow_from) + 5 * HOUR
    assert month.holds("WhatsAppSlowAnswersBudgetBurn", at) == {SLOW}
    assert month.holds("WhatsAppOldestCustomerWaiting", at) == {SLOW}
    fell = month.first(f'chatvitals_quality_rating{{phone_number_id="{SLOW}"}} < 3')
    assert fell > at
    assert month.holds("WhatsAppQualityRatingDropped", fell) == {SLOW}


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("WhatsAppQualityRatingRed", f'chatvitals_quality_rating{{phone_number_id="{SLOW}"}} == 1'),
        ("WhatsAppTemplateQualityDropped", "chatvitals_template_quality < 3"),
        ("WhatsAppTemplatePaused", 'chatvitals_template_status{status="PAUSED"} == 1'),
        ("WhatsAppSendsRefusedForQuality", 'increase(chatvitals_message_failures_total{code="131048"}[20m]) > 0'),
    ],
)
def test_what_whatsapp_does_is_told_at_once(month: Month, name: str, cause: str) -> None:
    """At the hour at which it shows, for one number or one template."""
    assert len(month.holds(name, month.first(cause))) == 1


def test_customers_who_turn_away_are_told(month: Month) -> None:
    """Some time in the slow week fewer read, more opt out and more get stuck, of the slow number alone."""
    slow = [month.share(STORY.slow_from) + hours * HOUR for hours in range(12, 7 * 24, 2)]
    for name in ("WhatsAppReadRateDropped", "WhatsAppOptOutSurge", "WhatsAppJourneyStalls"):
        assert set().union(*(month.holds(name, at) for at in slow)) == {SLOW}, name


@pytest.mark.parametrize("day", [6, 9, 11, 27])
def test_nothing_is_told_when_all_is_well(month: Month, day: int) -> None:
    """Before the deploy, and when number and template have recovered."""
    at = month.share(day / DAYS)
    held: dict[str, set[str]] = {alert.name: month.holds(alert.name, at) for alert in alerts(Objective())}
    assert {name: found for name, found in held.items() if found} == {}


def test_the_table_by_rating_shows_the_cause(month: Month, values: dict[str, str]) -> None:
    """While the number was RED many more turns were late than while it was GREEN."""
    panel = next(query for query in asked(page(GRAFANA / "dashboards" / "chatvitals-quality.json"))
                 if query.name == "While the number was rated" and "overdue" in query.expr)  # fmt: skip
    found = month.server.get("query", query=expanded(panel.expr, values), time=f"{month.end}")["result"]
    late = {(each["metric"]["phone_number_id"], each["metric"]["rating"]): float(each["value"][1]) for each in found}
    assert late[SLOW, "1"] > 5 * late[SLOW, "3"]
    assert late[WELL, "3"] < 0.03
