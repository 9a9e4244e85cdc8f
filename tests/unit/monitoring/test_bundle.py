"""`chatvitals assets`: for every objective what the build makes, written without harm, and fit for the real servers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chatvitals.cli import main
from chatvitals.cli.demo import DEFAULT_PORT
from chatvitals.monitoring import bundle
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.slo import THRESHOLDS, Objective
from tests.helpers.grafana import GRAFANA
from tests.helpers.services import require

BUILDS = {"build", "builder", "screenshots"}
OBJECTIVES = [
    Objective(share, threshold) for threshold in THRESHOLDS for share in (0.935, 0.94, 0.95, 0.99, 0.995, 0.999)
]
ROUTES = {
    "WhatsAppQualityRatingRed": "on-call",
    "WhatsAppQualityRatingDropped": "team",
    "WhatsAppTemplateRejected": "daily-digest",
    "WhatsAppStoreDown": "developers",
    "WhatsAppEventsDropped": "developers",
    "WhatsAppOptOutSurge": "team",
    "WhatsAppOldestCustomerWaiting": "team",
    "WhatsAppSendsRefusedForQuality": "on-call",
}


def read(name: str) -> Any:
    """Return what a YAML file says."""
    return yaml.safe_load((GRAFANA / name).read_text())


def written(folder: Path) -> dict[str, str]:
    """Return the files of a folder."""
    return {f"{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_the_default_is_the_folder_of_the_checkout(tmp_path: Path) -> None:
    """File by file, but for what only builds it."""
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 0
    ours = written(tmp_path / "new")
    theirs = {
        f"{path.relative_to(GRAFANA)}": path.read_text()
        for path in GRAFANA.rglob("*")
        if path.is_file() and path.relative_to(GRAFANA).parts[0] not in BUILDS
    }
    assert ours == theirs


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda each: f"{each.share}-{each.threshold}")
def test_dashboards_of_an_objective_are_what_the_builder_would_have_made(objective: Objective) -> None:
    """Though users need not have the library that makes them."""
    sys.path.insert(0, str(GRAFANA))
    from builder import dashboards  # noqa: PLC0415 - the folder of the build is on no path by default

    made = bundle.files(objective)
    for name, text in dashboards.files(objective).items():
        assert made[name] == text, name


@pytest.mark.slow
@pytest.mark.parametrize("objective", [Objective(0.935, 10), Objective(0.999, 3600)])
def test_rules_of_an_objective_fire_and_are_quiet_when_they_should(objective: Objective, tmp_path: Path) -> None:
    """The shipped tests are made for it as well."""
    words = ["--slo", str(objective.share), "--threshold", str(objective.threshold)]
    assert main.main(["assets", "--out", str(tmp_path), *words]) == 0
    command = [require("promtool"), "test", "rules", str(tmp_path / "rules" / "tests" / "quick.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
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
        (["--slo", "95"], "must be a share"),
        (["--slo", "nan"], "must be a share"),
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


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Such as a file in the way."""
    (tmp_path / "new").write_text("a file")
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 1
    assert "File exists" in capsys.readouterr().err


def test_an_incomplete_installation_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do, and nothing is written."""
    monkeypatch.setattr(bundle, "_folder", lambda: tmp_path / "gone")
    assert main.main(["assets", "--out", str(tmp_path / "new")]) == 1
    assert "alertmanager.yml is missing: install chatvitals again" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


# Alertmanager

ALERTMANAGER = GRAFANA / "alertmanager.yml"


def test_alertmanager_takes_the_example() -> None:
    """By its own tool."""
    command = [require("amtool"), "check-config", str(ALERTMANAGER)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("name", "receiver"), ROUTES.items())
def test_an_alert_goes_to_whom_it_concerns(name: str, receiver: str) -> None:
    """Critical ones to who is on call, plumbing to developers, the rest to the team."""
    alert = next(each for each in alerts(Objective()) if each.name == name)
    assert routed({"alertname": name, "severity": alert.severity, "component": alert.component}) == [receiver]


def routed(labels: dict[str, str]) -> list[str]:
    """Return the receivers of an alert, as Alertmanager's own tool finds them."""
    words = [f"{name}={value}" for name, value in labels.items()]
    command = [require("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER}", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_each_shipped_alert_reaches_the_receiver_of_its_kind() -> None:
    """With the labels that Prometheus gives it, which come from the rules' file."""
    by_severity = {"critical": "on-call", "warning": "team", "info": "daily-digest"}
    rules = [rule for group in read("rules/alerting.yml")["groups"] for rule in group["rules"]]
    assert {rule["alert"] for rule in rules} == {alert.name for alert in alerts(Objective())}
    for rule in rules:
        labels = rule["labels"]
        wanted = "developers" if labels["component"] == "plumbing" else by_severity[labels["severity"]]
        assert routed({"alertname": rule["alert"], **labels}) == [wanted], rule["alert"]


def test_inhibitions_are_about_alerts_and_components_that_exist() -> None:
    """And never mute what WhatsApp did because of what we cannot see."""
    known = {alert.name for alert in alerts(Objective())}
    components = {alert.component for alert in alerts(Objective())}
    for rule in read("alertmanager.yml")["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, value = re.split("=~|!=|=", matcher)
            values = set(value.strip(' "').split("|"))
            assert (
                values
                <= {"alertname": known, "component": components, "severity": {"critical", "warning"}}[label.strip()]
            ), matcher
            assert not values & {"quality", "template", "plumbing"}


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


def test_prometheus_takes_the_example() -> None:
    """With the rules beside it."""
    command = [require("promtool"), "check", "config", str(GRAFANA / "prometheus.yml")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_provisioned_folder_holds_no_dashboard_twice() -> None:
    """Grafana looks into folders of folders: the variants to import must lie elsewhere."""
    assert {path.parent for path in (GRAFANA / "dashboards").rglob("*")} == {GRAFANA / "dashboards"}
