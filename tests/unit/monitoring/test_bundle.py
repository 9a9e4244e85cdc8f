"""`chatvitals assets`: for every objective what the build makes, written without harm, and fit for the real servers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatvitals.cli import main
from chatvitals.cli.demo import DEFAULT_PORT
from chatvitals.monitoring import bundle, rules_yaml
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from chatvitals.whatsapp.enums import QUALITY_REFUSALS
from tests.helpers.grafana import GRAFANA, PAGES, page, panels
from tests.helpers.services import require

BUILDS = {"build", "builder", "months.txt", "screenshots"}
OBJECTIVES = [Objective(), Objective(0.935, 10), Objective(0.99, 300), Objective(0.995, 3600)]
ROUTES = {
    "WhatsAppQualityRatingRed": ["on-call"],
    "WhatsAppQualityRatingDropped": ["team"],
    "WhatsAppTemplateRejected": ["daily-digest"],
    "WhatsAppStoreDown": ["on-call,developers"],
    "WhatsAppMetricsAbsent": ["on-call,developers"],
    "WhatsAppEventsDropped": ["developers"],
    "WhatsAppOptOutSurge": ["team"],
    "WhatsAppOldestCustomerWaiting": ["daily-digest"],
    "WhatsAppSendsRefusedForQuality": ["on-call"],
}


def read(name: str) -> Any:
    """Return the content of a YAML file."""
    return yaml.safe_load((GRAFANA / name).read_text())


def written(folder: Path) -> dict[str, str]:
    """Return the files of a folder."""
    return {f"{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_default_is_the_folder_of_the_checkout(tmp_path: Path) -> None:
    """File by file. The forms to import are only made here."""
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 0
    ours = written(tmp_path / "new")
    theirs = {
        f"{path.relative_to(GRAFANA)}": path.read_text()
        for path in GRAFANA.rglob("*")
        if path.is_file() and path.relative_to(GRAFANA).parts[0] not in BUILDS
    }
    to_import = {name for name in ours if name.startswith("grafana.com/")}
    assert {name: text for name, text in ours.items() if name not in to_import} == theirs
    assert {Path(name).name for name in to_import} == {path.name for path in PAGES}


def test_an_objective_is_in_the_constant_variables_and_nowhere_else() -> None:
    """Each dashboard differs from the shipped one in two values alone."""
    made = bundle.files(Objective(0.99, 300))
    for path in PAGES:
        ours, shipped = json.loads(made[f"dashboards/{path.name}"]), page(path)
        values = {each["name"]: each.pop("query") for each in ours["templating"]["list"] if each["type"] == "constant"}
        assert values == {"slo": "0.99", "threshold": "300"}
        for each in shipped["templating"]["list"]:
            if each["type"] == "constant":
                each.pop("query")
        assert ours == shipped


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_dashboard_to_import_asks_for_the_data_source(path: Path) -> None:
    """And differs in nothing else."""
    ours, shared = page(path), json.loads(bundle.files(Objective())[f"grafana.com/{path.name}"])
    assert [each["name"] for each in shared.pop("__inputs")] == ["DS_PROMETHEUS"]
    kinds = {each["id"] for each in shared.pop("__requires") if each["type"] == "panel"}
    assert kinds == {panel["type"] for panel in panels(ours)}
    shared.pop("__elements")
    ours["templating"]["list"] = [each for each in ours["templating"]["list"] if each["type"] != "datasource"]
    assert json.dumps(shared).replace("${DS_PROMETHEUS}", "${datasource}") == json.dumps(ours)


def _alerts_that_look_at(objective: Objective) -> set[str]:
    """Return the alerts whose rule, or a recorded series that it reads, is another than with the usual objective."""
    usual = {rule.name: rule.expr for rule in recordings(Objective())}
    changed = [rule.name for rule in recordings(objective) if usual[rule.name] != rule.expr]
    before = {alert.name: alert.expr for alert in alerts(Objective())}
    return {
        alert.name
        for alert in alerts(objective)
        if before[alert.name] != alert.expr or any(name in alert.expr for name in changed)
    }


@pytest.mark.slow
@pytest.mark.parametrize("objective", [Objective(0.935, 10), Objective(0.999, 3600)])
def test_rules_of_an_objective_fire_and_are_quiet_when_they_should(objective: Objective, tmp_path: Path) -> None:
    """The shipped tests of the alerts that look at it hold as well. The other alerts are the same as ever."""
    words = ["--slo", str(objective.share), "--threshold", str(objective.threshold)]
    assert main.main(["assets", "--out", str(tmp_path), *words]) == 0
    file = tmp_path / "rules" / "tests" / "quick.yml"
    tests = yaml.safe_load(file.read_text())
    names = _alerts_that_look_at(objective)
    tests["tests"] = [each for each in tests["tests"] if each["name"].split()[0] in names]
    assert {each["name"].split()[0] for each in tests["tests"]} == names
    file.write_text(yaml.safe_dump(tests))
    command = [require("promtool"), "test", "rules", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: f"{each.share}-{each.threshold}")
def test_a_budget_burns_from_the_limits_of_its_objective(objective: Objective, tmp_path: Path) -> None:
    """A fifth above each limit the alert fires, a fifth below it does not."""
    sys.path.insert(0, str(GRAFANA))
    from builder import rule_tests  # noqa: PLC0415 - the folder of the build is on no path by default

    (tmp_path / "tests").mkdir()
    records = yaml.safe_load(rules_yaml.recording_rules(objective))
    records["groups"][0]["rules"] = [rule for rule in records["groups"][0]["rules"] if "_turns_" in rule["record"]]
    rules = yaml.safe_load(rules_yaml.alerting_rules(objective))
    for group in rules["groups"]:  # promtool evaluates every rule at every minute: leave out the others
        group["rules"] = [rule for rule in group["rules"] if rule["alert"] == "WhatsAppSlowAnswersBudgetBurn"]
    (tmp_path / "recording.yml").write_text(yaml.safe_dump(records))
    (tmp_path / "alerting.yml").write_text(yaml.safe_dump(rules))
    file = tmp_path / "tests" / "burns.yml"
    file.write_text(rule_tests.as_promtool(rule_tests.burns_of(objective)))
    done = subprocess.run([require("promtool"), "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_that_somebody_has_changed_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named, nothing is written, and --force writes all the same."""
    words = ["assets", "--out", str(tmp_path)]
    assert main.main(words) == 0
    assert main.main(words) == 0  # again, with nothing changed
    mine = tmp_path / "alertmanager.yml"
    mine.write_text("mine")
    (tmp_path / "README.md").unlink()
    capsys.readouterr()
    assert main.main(words) == 1
    said = capsys.readouterr().err
    assert f"--force overwrites them:\n  {mine}\n" in said
    assert mine.read_text() == "mine"
    assert not (tmp_path / "README.md").exists()
    assert main.main([*words, "--force"]) == 0
    assert mine.read_text() != "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slo", "0.5"], "could never fire"),
        (["--slo", "0.9999999"], "lets no turn be late"),
        (["--threshold", "61"], "one of the overdue thresholds 10, 60, 300, 3600 s"),
    ],
)
def test_an_objective_that_cannot_be_is_a_sentence(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is written."""
    assert main.main(["assets", "--out", str(tmp_path / "new"), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("share", ["95", "nan"])
def test_an_objective_that_is_no_share_is_refused(
    share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a wrong option, before anything is written."""
    with pytest.raises(SystemExit) as ended:
        main.main(["assets", "--out", str(tmp_path / "new"), "--slo", share])
    assert ended.value.code == 2
    assert "must be a share" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as a file in the way."""
    (tmp_path / "new").write_text("a file")
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 1
    assert "File exists" in capsys.readouterr().err


def test_an_incomplete_installation_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence advises a new installation, and nothing is written."""
    monkeypatch.setattr(bundle, "_folder", lambda: tmp_path / "gone")
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 1
    assert "months.txt is missing: install chatvitals again" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


# Alertmanager

ALERTMANAGER = GRAFANA / "alertmanager.yml"


@pytest.mark.slow
def test_alertmanager_takes_the_example() -> None:
    """By its own tool."""
    command = [require("amtool"), "check-config", str(ALERTMANAGER)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("name", "receivers"), ROUTES.items())
def test_an_alert_goes_to_its_receivers(name: str, receivers: list[str]) -> None:
    """Critical ones to on-call, plumbing to developers, critical plumbing to both, the rest to the team."""
    alert = next(each for each in alerts(Objective()) if each.name == name)
    assert routed({"alertname": name, "severity": alert.severity, "component": alert.component}) == receivers


def routed(labels: dict[str, str]) -> list[str]:
    """Return the receivers of an alert, as Alertmanager's own tool finds them."""
    words = [f"{name}={value}" for name, value in labels.items()]
    command = [require("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_each_shipped_alert_reaches_the_receiver_of_its_kind() -> None:
    """With the labels that Prometheus gives it, which come from the rules' file."""
    by_severity = {"critical": "on-call", "warning": "team", "info": "daily-digest"}
    rules = [rule for group in read("rules/alerting.yml")["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == {alert.name for alert in alerts(Objective())}
    for rule in rules:
        labels = rule["labels"]
        wanted = by_severity[labels["severity"]]
        if labels["component"] == "plumbing":
            wanted = "on-call,developers" if wanted == "on-call" else "developers"
        assert routed({"alertname": rule["alert"], **labels}) == [wanted], rule["alert"]


def test_inhibitions_are_about_alerts_and_components_that_exist() -> None:
    """They hold within one job, and never mute what WhatsApp did because of what we cannot see."""
    every = alerts(Objective())
    known = {
        "alertname": {alert.name for alert in every} | {"WhatsAppSends.*"},
        "component": {alert.component for alert in every},
        "severity": {alert.severity for alert in every},
        "code": set(QUALITY_REFUSALS),
    }
    for rule in read("alertmanager.yml")["inhibit_rules"]:
        assert "job" in rule["equal"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, value = re.split("=~|!~|!=|=", matcher)
            values = set(value.strip(' "').split("|"))
            assert values <= known[label.strip()], matcher
            assert not values & {"quality", "template", "plumbing"}


def test_urgent_alerts_are_repeated_in_hours_and_states_daily() -> None:
    """A state that lasts does not page every hour."""
    routes = read("alertmanager.yml")["route"]
    assert routes["repeat_interval"] == "24h"
    for route in routes["routes"]:
        assert route.get("repeat_interval", "24h") in {"4h", "12h", "24h"}, route


# What is put together


def test_what_compose_mounts_exists_and_is_where_it_is_looked_for() -> None:
    """The files of this folder, at the paths that configurations name."""
    services = read("compose.yaml")["services"]
    mounts, published = {}, []
    for service in services.values():
        for volume in service.get("volumes", []):
            source, target = volume.removesuffix(":ro").split(":")
            if source.startswith("./"):
                assert (GRAFANA / source).exists(), source
                mounts[source] = target
        published += service.get("ports", [])
    assert all(port.startswith("127.0.0.1:") for port in published)
    provider = read("provisioning/dashboards/chatvitals.yaml")["providers"][0]
    assert provider["options"]["path"] == mounts["./dashboards"]
    config = read("prometheus.yml")
    at = Path(mounts["./prometheus.yml"]).parent
    assert {f"{at / name}" for name in config["rule_files"]} == {
        f"{mounts['./rules']}/{path.name}" for path in (GRAFANA / "rules").glob("*.yml")
    }
    source = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())["datasources"][
        0
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["alertmanager:9093"]
    assert services["demo"]["network_mode"] == "service:prometheus"
    # the demo is scraped at the port that it has by default, on a loopback that no published port leads to
    assert config["scrape_configs"][0]["static_configs"][0]["targets"] == [f"127.0.0.1:{DEFAULT_PORT}"]
    assert not [port for port in published if port.endswith(f":{DEFAULT_PORT}")]


@pytest.mark.slow
def test_prometheus_takes_the_example() -> None:
    """With the rules beside it."""
    command = [require("promtool"), "check", "config", str(GRAFANA / "prometheus.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_provisioned_folder_holds_no_dashboard_twice() -> None:
    """Grafana looks into folders of folders: the variants to import must lie elsewhere."""
    assert {path.parent for path in (GRAFANA / "dashboards").rglob("*")} == {GRAFANA / "dashboards"}
