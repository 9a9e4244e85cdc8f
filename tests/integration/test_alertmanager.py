"""A real Alertmanager with the example's inhibitions: it mutes what another alert makes pointless, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.slo import Objective
from tests.helpers import services
from tests.helpers.grafana import GRAFANA
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

JOB = {"job": "bot"}
NUMBER = {**JOB, "phone_number_id": "1"}
TEMPLATE = {**JOB, "waba_id": "9", "template": "offer", "language": "en"}
Labels = dict[str, str]


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[httpx.Client]:
    """Run one on a free port, with nothing kept and no cluster."""
    program, port = services.require("prometheus-alertmanager"), services.free_port()
    command = [program, f"--config.file={GRAFANA}/alertmanager.yml", f"--storage.path={tmp_path}",
               f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]  # fmt: skip
    url = f"http://127.0.0.1:{port}/api/v2"
    with (
        services.running(command, tmp_path / "log", port) as process,
        httpx.Client(base_url=url, trust_env=False, timeout=60) as client,
    ):
        yield client
        process.kill()  # sooner than asking it


def fire(client: httpx.Client, case: str, wanted: dict[str, str], *fired: tuple[str, Labels]) -> None:
    """Fire alerts as Prometheus does, and wait for the state of each, by its name and severity.

    What mutes an alert reaches Alertmanager's inhibitions some time after the alert itself.
    """
    body = []
    for name, labels in fired:
        severity = labels.get("severity", "")
        rule = next(each for each in alerts(Objective()) if each.name == name and severity in {"", each.severity})
        all_labels = {"severity": rule.severity, "component": rule.component, "case": case, **labels}
        body.append({"labels": {"alertname": name, **all_labels}, "annotations": {}})
    client.post("/alerts", json=body).raise_for_status()

    def states() -> dict[str, str]:
        found: list[Any] = client.get("/alerts", params={"filter": f'case="{case}"'}).json()
        return {
            f"{each['labels']['alertname']} {each['labels']['severity']}": each["status"]["state"] for each in found
        }

    until(f"{wanted}", lambda: states() == wanted, states)


@pytest.mark.parametrize(
    ("source", "muted", "same", "other"),
    [
        ("WhatsAppCustomersIgnored", "WhatsAppCustomersUnanswered", NUMBER, {**JOB, "phone_number_id": "2"}),
        ("WhatsAppQualityRatingRed", "WhatsAppQualityRatingDropped", NUMBER, {**JOB, "phone_number_id": "2"}),
        ("WhatsAppNumberFlagged", "WhatsAppReadRateDropped", NUMBER, {**JOB, "phone_number_id": "2"}),
        ("WhatsAppMessagingBlocked", "WhatsAppQualityRatingDropped", NUMBER, {**JOB, "phone_number_id": "2"}),
        ("WhatsAppTemplateDisabled", "WhatsAppTemplatePaused", TEMPLATE, {**TEMPLATE, "language": "de"}),
    ],
)
def test_an_alert_mutes_the_lesser_one_of_the_same_number_or_template_only(
    alertmanager: httpx.Client, source: str, muted: str, same: Labels, other: Labels
) -> None:
    """Not that of another one."""
    case = f"{source} {muted}"
    severities = {alert.name: alert.severity for alert in alerts(Objective())}
    lesser = f"{muted} {severities[muted]}"
    both = {f"{source} {severities[source]}": "active", lesser: "suppressed"}
    fire(alertmanager, case, both, (source, same), (muted, same))
    fire(alertmanager, f"{case} elsewhere", {lesser: "active"}, (muted, other))


def test_a_fast_burn_mutes_a_slow_one(alertmanager: httpx.Client) -> None:
    """Of the same number."""
    name = "WhatsAppSlowAnswersBudgetBurn"
    fire(
        alertmanager, "burn", {f"{name} critical": "active", f"{name} warning": "suppressed"},
        (name, {**NUMBER, "severity": "critical", "short": "5m"}),
        (name, {**NUMBER, "severity": "warning", "short": "6h"}),
    )  # fmt: skip


def test_without_numbers_nothing_is_said_about_customers_but_all_about_whatsapp(alertmanager: httpx.Client) -> None:
    """RED stays RED when the store is down."""
    wanted = {
        "WhatsAppSendsRefusedForQuality critical": "active",
        "WhatsAppStoreDown critical": "active",
        "WhatsAppOldestCustomerWaiting info": "suppressed",
        "WhatsAppOptOutSurge warning": "suppressed",
        "WhatsAppNumberFlagged critical": "active",
    }
    fire(
        alertmanager, "blind", wanted,
        ("WhatsAppStoreDown", JOB), ("WhatsAppOldestCustomerWaiting", NUMBER), ("WhatsAppOptOutSurge", NUMBER),
        ("WhatsAppNumberFlagged", NUMBER), ("WhatsAppSendsRefusedForQuality", {**NUMBER, "code": "131048"}),
    )  # fmt: skip


def test_a_dead_bot_mutes_nothing_of_another_bot(alertmanager: httpx.Client) -> None:
    """Each inhibition holds within one job."""
    severity = {alert.name: alert.severity for alert in alerts(Objective())}
    names = ("WhatsAppMetricsAbsent", "WhatsAppCustomersIgnored")
    fire(
        alertmanager, "two bots", {f"{name} {severity[name]}": "active" for name in names},
        (names[0], JOB), (names[1], {"job": "other", "phone_number_id": "2"}),
    )  # fmt: skip


def test_a_store_outage_is_one_alert(alertmanager: httpx.Client) -> None:
    """Its errors and losses are the same outage."""
    wanted = {
        "WhatsAppStoreDown critical": "active",
        "WhatsAppInstrumentationErrors warning": "suppressed",
        "WhatsAppEventsDropped warning": "suppressed",
    }
    fire(
        alertmanager, "outage", wanted, ("WhatsAppStoreDown", JOB),
        ("WhatsAppInstrumentationErrors", {**JOB, "where": "store"}),
        ("WhatsAppEventsDropped", {**JOB, "reason": "queue_full"}),
    )  # fmt: skip


def test_refused_sends_explain_ignored_customers(alertmanager: httpx.Client) -> None:
    """An expired token is one page."""
    wanted = {
        "WhatsAppSendsFailing critical": "active",
        "WhatsAppCustomersIgnored critical": "suppressed",
        "WhatsAppSlowAnswersBudgetBurn critical": "suppressed",
    }
    fire(
        alertmanager, "token", wanted, ("WhatsAppSendsFailing", NUMBER), ("WhatsAppCustomersIgnored", NUMBER),
        ("WhatsAppSlowAnswersBudgetBurn", {**NUMBER, "severity": "critical", "short": "5m"}),
    )  # fmt: skip


def test_a_paused_template_explains_its_own_code_alone(alertmanager: httpx.Client) -> None:
    """A limited number is another matter."""
    name = "WhatsAppSendsRefusedForQuality"
    paused = "WhatsAppTemplatePaused"
    severity = {alert.name: alert.severity for alert in alerts(Objective())}
    wanted = {f"{paused} {severity[paused]}": "active", f"{name} critical": "suppressed"}
    fire(alertmanager, "paused", wanted, (paused, TEMPLATE), (name, {**NUMBER, "code": "132015"}))
    fire(alertmanager, "limited", {f"{name} critical": "active"}, (name, {**NUMBER, "code": "131048"}))


def test_a_poller_that_stopped_explains_old_and_unknown_ratings_but_no_red_one(alertmanager: httpx.Client) -> None:
    """What was RED when it stopped is RED."""
    wanted = {
        "WhatsAppQualityPollerStale warning": "active",
        "WhatsAppQualityStale warning": "suppressed",
        "WhatsAppQualityRatingUnknown warning": "suppressed",
        "WhatsAppQualityRatingRed critical": "active",
    }
    fire(
        alertmanager, "stopped", wanted,
        ("WhatsAppQualityPollerStale", JOB), ("WhatsAppQualityStale", NUMBER),
        ("WhatsAppQualityRatingUnknown", NUMBER), ("WhatsAppQualityRatingRed", NUMBER),
    )  # fmt: skip
