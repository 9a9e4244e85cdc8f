"""A simulated month on a real Prometheus: every query of every dashboard finds it, and alerts tell its story."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.analysis.statistics import ConfidenceSequence, Share
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.slo import Objective
from chatvitals.simulator.story import DAY, HOUR
from tests.helpers.grafana import GRAFANA, PAGES, VALUES, Asked, asked, expanded, page, selectors
from tests.helpers.month import DAYS, SLOW, STORY, WELL, Month
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = {"__rate_interval": "16m", "__range": "28d", "__interval": "1h", "window": "6h"}
EMPTY = {
    # what a month without trouble of its own has none of
    "Firing alerts": "history is not alerted on",
    "Oldest wait": "nobody waits at the end",
}


def test_all_rules_are_loaded_and_healthy(month: Month) -> None:
    """By the server itself, which evaluates them."""
    states: dict[str, tuple[str, str | None]] = {}

    def are_evaluated() -> bool:
        rules = (rule for group in month.server.get("rules")["groups"] for rule in group["rules"])
        states.update({rule["name"]: (rule["health"], rule.get("lastError")) for rule in rules})
        return all(health != "unknown" for health, _ in states.values())

    until("the health of all rules", are_evaluated)
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
    """A few hours after the deploy the objective's alerts hold for the slow number alone. It is still GREEN."""
    at = month.share(STORY.slow_from) + 4 * HOUR
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


def test_variants_are_compared_as_the_command_does(month: Month, values: dict[str, str]) -> None:
    """The table has the interval of `chatvitals compare`. Without a real difference there is no conclusion."""
    table = [query for query in asked(page(GRAFANA / "dashboards" / "chatvitals-journeys.json"))
             if query.name == "Variants"]  # fmt: skip
    contacts, goals, difference, half, conclusion = (_by(month, query, values, "variant") for query in table[:5])
    ours, other = (Share(goals[variant] * contacts[variant], contacts[variant]) for variant in ("emoji", "plain"))
    expected = ConfidenceSequence().difference(ours, other)
    assert difference == {"emoji": pytest.approx(100 * expected.value)}
    assert half == {"emoji": pytest.approx(50 * (expected.high - expected.low))}
    assert conclusion == {"emoji": 0.0, "plain": 2.0}


def test_each_version_has_its_row(month: Month, values: dict[str, str]) -> None:
    """The slow deploy shows: many more turns were late while it ran."""
    table = [query for query in asked(page(GRAFANA / "dashboards" / "chatvitals-quality.json"))
             if query.name == "While this version of the bot ran"]  # fmt: skip
    since, turns, late, *_ = (_by(month, query, values, "app_version") for query in table)
    assert sorted(since, key=since.__getitem__) == ["1.3.2", "1.4.0", "1.4.1"]
    assert min(turns.values()) > 1000
    assert late["1.4.0"] > 5 * max(late["1.3.2"], late["1.4.1"])


def _by(month: Month, query: Asked, values: dict[str, str], label: str) -> dict[str, float]:
    """Return a table's numbers at the end of the month by a label."""
    found = month.server.get("query", query=expanded(query.expr, values), time=f"{month.end}")["result"]
    return {each["metric"][label]: float(each["value"][1]) for each in found}
