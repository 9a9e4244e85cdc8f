"""Alert rules: Prometheus takes them, each fires and is quiet when it should, and a person can act on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chatvitals.metrics import catalogue
from chatvitals.monitoring.alerts import Alert, alerts
from chatvitals.monitoring.recording_rules import LIMIT, Recording, groups, recordings
from chatvitals.monitoring.silence import SILENT, STILL
from chatvitals.monitoring.slo import Objective
from tests.helpers.grafana import PAGES, page, panels
from tests.helpers.incidents import groups_of
from tests.helpers.services import require

GRAFANA = Path(__file__).parents[3] / "grafana"
RULES = GRAFANA / "rules"
EVERY = alerts(Objective())
TITLES = {panel.get("title") for path in PAGES for panel in panels(page(path))}


def test_the_generated_files_are_what_the_build_makes() -> None:
    """The committed files are the generated files."""
    done = subprocess.run([sys.executable, GRAFANA / "build", "--check"], check=False, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.mark.slow
def test_prometheus_takes_the_rules_without_a_remark() -> None:
    """Also its linter."""
    files = [RULES / "recording.yml", RULES / "alerting.yml"]
    command = [require("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *map(str, files)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quick.yml", "slow.yml"])
def test_each_alert_fires_and_is_quiet_when_it_should(name: str) -> None:
    """A firing and a quiet case, on two instances that show one store."""
    command = [require("promtool"), "test", "rules", str(RULES / "tests" / name)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", sorted({alert.name for alert in EVERY}))
def test_each_alert_has_both_cases_and_a_section_in_the_runbook(alert: str) -> None:
    """An alert without a test or without advice is noise."""
    tests = "".join((RULES / "tests" / name).read_text() for name in ("quick.yml", "slow.yml"))
    assert f"name: {alert} fires" in tests
    assert f"name: {alert} is quiet" in tests
    assert f"\n## {alert}\n" in (GRAFANA / "README.md").read_text()


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: alert.name)
def test_an_alert_says_what_and_what_to_do(alert: Alert) -> None:
    """Summary for the pager, description for the person, three steps for the runbook."""
    assert alert.severity in {"critical", "warning", "info"}
    assert len(alert.summary) < 120
    for text in (alert.description, alert.when, alert.look, alert.mend, alert.verify):
        assert text[0].isupper() or text[0] in '"{'
        assert text[-1] in ".?"


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: f"{alert.name}{alert.labels.get('long', '')}")
def test_an_alert_says_to_whom_it_happened(alert: Alert) -> None:
    """Ten numbers and two bots may share one pager."""
    assert re.search(r"\$labels\.(phone_number_id|waba_id|template|job)\b", alert.summary)


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: f"{alert.name}{alert.labels.get('long', '')}")
def test_the_condition_in_words_has_the_numbers_of_the_rule(alert: Alert) -> None:
    """A number that only one of them has would mean that somebody changed it in one place."""
    rule = alert.expr
    read = [each.expr for each in recordings(Objective()) if each.name in {SILENT, STILL}]
    rule += "".join(read) if "silent" in rule else ""
    for share in re.findall(r"([\d.]+) %", alert.when):
        assert re.search(rf"\b{float(share) / 100:.6g}\b", rule), share
    for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?[smhd]?\b(?! %| s)", alert.when.replace("30 days", "30d")):
        assert re.search(rf"(?<![\d.]){re.escape(number)}(?![\d.])", rule) or number == "79", number


def test_the_runbook_has_three_steps_for_each_alert() -> None:
    """Look, mend, verify, and no more."""
    sections = (GRAFANA / "README.md").read_text().split("\n## WhatsApp")[1:]
    assert len(sections) == len({alert.name for alert in EVERY})
    for section in sections:
        assert "\nFires: " in section
        assert re.findall(r"^(\d+\. \w+):", section, re.MULTILINE) == ["1. Look", "2. Mend", "3. Verify"]


@pytest.mark.parametrize("alert", EVERY, ids=lambda alert: alert.name)
def test_a_panel_that_the_runbook_names_is_on_a_dashboard(alert: Alert) -> None:
    """Under that title, or a person looks for it in vain."""
    named = {each for text in (alert.look, alert.mend, alert.verify) for each in re.findall(r'"([^"]+)"', text)}
    assert named <= TITLES


def test_every_alert_and_every_record_keeps_the_job() -> None:
    """Inhibition by bot and routing by team need it."""
    rules: list[Alert | Recording] = [*recordings(Objective()), *EVERY]
    for rule in rules:
        for grouping in re.findall(r"\bby \(([^)]*)\)", rule.expr):
            assert "job" in grouping.split(", "), rule.name
        assert "without" not in rule.expr, rule.name


def test_no_group_is_too_large_or_reads_its_own_records() -> None:
    """Mimir allows 20 rules a group. And vmalert evaluates the rules of a group in no order."""
    for name, rules in groups(Objective()).items():
        assert len(rules) <= LIMIT, name
        own = {rule.name for rule in rules}
        assert not [rule.name for rule in rules if own - {STILL} & set(re.findall(r"\b[a-z_]+:[\w:]+", rule.expr))]
    for group in yaml.safe_load((RULES / "alerting.yml").read_text())["groups"]:
        assert len(group["rules"]) <= LIMIT, group["name"]


KUBERNETES = """
rule_files: [RULES]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'SERIES{job="bot",instance="a",pod="a",pod_template_hash="6f9",phone_number_id="1"LABELS}', values: '0+1x90'}
      - {series: 'SERIES{job="bot",instance="b",pod="b",pod_template_hash="7c1",phone_number_id="1"LABELS}', values: '0+1x90'}
    promql_expr_test:
      - expr: 'sum by (job, phone_number_id, journey) (RECORDED)'
        eval_time: 80m
        exp_samples: [{labels: '{job="bot",phone_number_id="1"KEPT}', value: 60}]
"""  # noqa: E501 - a promtool test


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recorded", "series", "labels", "kept"),
    [
        ("phone_number_id:chatvitals_turns_opened:increase1h", "chatvitals_turns_opened_total", ',turn="first"', ""),
        (
            "phone_number_id_journey:chatvitals_journey_runs_started:increase1h",
            "chatvitals_journey_runs_started_total",
            ',journey="order"',
            ',journey="order"',
        ),
    ],
)
def test_totals_do_not_double_with_labels_that_only_kubernetes_knows(
    recorded: str, series: str, labels: str, kept: str, tmp_path: Path
) -> None:
    """Two pods of one store differ in their hash."""
    text = KUBERNETES
    given = {"RULES": f"{RULES / 'recording.yml'}", "SERIES": series, "LABELS": labels, "KEPT": kept}
    for name, value in {**given, "RECORDED": recorded}.items():
        text = text.replace(name, value)
    file = tmp_path / "test.yml"
    file.write_text(text)
    done = subprocess.run([require("promtool"), "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


RECORDED = """
phone_number_id:chatvitals_response_seconds:mean_rate5m
phone_number_id_turn:chatvitals_wait_seconds:p50_rate15m p90_rate15m p95_rate15m
phone_number_id:chatvitals_turns_overdue:ratio_rate5m ratio_rate30m ratio_rate1h ratio_rate2h ratio_rate6h
phone_number_id:chatvitals_turns_overdue:ratio_rate1d ratio_rate3d
phone_number_id:chatvitals_turns_opened:increase1h increase6h increase1d increase3d
phone_number_id_journey:chatvitals_journey_completed:ratio_increase1h
phone_number_id_journey:chatvitals_journey_runs_started:increase1h
phone_number_id:chatvitals_messages_read:ratio_increase6h
phone_number_id:chatvitals_messages_delivered:increase6h
phone_number_id:chatvitals_opt_outs:ratio_increase6h
phone_number_id:chatvitals_opt_outs:increase6h
"""


def test_recorded_series_keep_their_names() -> None:
    """Dashboards and alerts of the bot's owner read them."""
    names = set()
    for line in RECORDED.split("\n")[1:-1]:
        level, operations = line.rsplit(":", 1)
        names |= {f"{level}:{operation}" for operation in operations.split()}
    assert names <= {rule.name for rule in recordings(Objective())}


def test_rules_name_only_metrics_of_the_catalogue() -> None:
    """A misspelt name would be silent for ever."""
    recorded = {rule.name for rule in recordings(Objective())}
    rules: list[Alert | Recording] = [*recordings(Objective()), *EVERY]
    for rule in rules:
        for name in re.findall(r"(?<![:\w])chatvitals_\w+", rule.expr):
            bare = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in catalogue.FAMILIES or bare in catalogue.FAMILIES, name
        for name in re.findall(r"\b[a-z_]+:chatvitals_\w+:\w+", rule.expr):
            assert name in recorded, name


def test_no_rule_asks_whether_an_alert_fires() -> None:
    """Grafana's own rules make no series `ALERTS`."""
    rules: list[Alert | Recording] = [*recordings(Objective()), *EVERY]
    assert not [rule.name for rule in rules if "ALERTS" in rule.expr]


@pytest.mark.parametrize(
    ("share", "threshold", "says"),
    [(0.8, 60, "could never fire"), (0.95, 45, "overdue thresholds"), (1.0, 60, "from 0.5 to below 1")],
)
def test_an_objective_that_nothing_could_miss_is_refused(share: float, threshold: int, says: str) -> None:
    """With a sentence that names the choices."""
    with pytest.raises(ValueError, match=says):
        Objective(share, threshold)


SUDDENLY = """
rule_files: [RULE]
evaluation_interval: 4m
group_eval_order: ORDER
tests:
  - interval: 4m
    input_series: [{series: 'chatvitals_webhooks_total{job="bot",instance="a",result="accepted"}', values: 'VALUES'}]
    promql_expr_test:
      - {expr: 'count(ALERTS{alertstate="firing"}) or vector(0)', eval_time: MINUTEm, exp_samples: [{labels: '{}', value: FIRING}]}
"""  # noqa: E501 - a promtool test


@pytest.mark.slow
@pytest.mark.parametrize(
    ("week_ago", "now", "minutes_of_silence", "firing"),
    [
        ("0+16x60", "1000+16x74", 50, 1),
        ("0+16x60", "1000+16x74", 30, 0),  # not yet
        ("0+16x16 256x43", "1000+16x74", 50, 0),  # the hour at which it closes
        ("0+5x60", "1000+5x74", 50, 0),  # a quiet hour: 40 minutes without a customer are no wonder
    ],
)
def test_silence_in_a_busy_hour_pages_within_the_hour(
    week_ago: str, now: str, minutes_of_silence: int, firing: int, tmp_path: Path
) -> None:
    """Four webhooks a minute, then none for so long. Closing hours and quiet hours do not page."""
    yesterday = week_ago
    values = f"{week_ago} _x2099 {yesterday} _x240 {now} 5000x30"  # between them nothing is looked at
    rules = groups_of("WhatsAppWebhookSilent")
    (tmp_path / "rule.yml").write_text(yaml.safe_dump({"groups": rules}))
    minute = 4 * (61 + 2400 + 75) + minutes_of_silence
    order = f"{[group['name'] for group in rules]}"
    given = {"RULE": "rule.yml", "ORDER": order, "VALUES": values, "MINUTE": f"{minute}", "FIRING": f"{firing}"}
    text = SUDDENLY
    for name, value in given.items():
        text = text.replace(name, value)
    (tmp_path / "test.yml").write_text(text)
    command = [require("promtool"), "test", "rules", str(tmp_path / "test.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
