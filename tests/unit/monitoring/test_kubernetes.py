"""`chatvitals assets --kubernetes`: each object fits its schema, and they fit each other and the other files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

import chatvitals
from chatvitals.cli import exporter, main
from chatvitals.metrics.catalogue import FAMILIES
from chatvitals.monitoring import bundle, kubernetes
from chatvitals.monitoring.slo import Objective
from chatvitals.monitoring.yaml_text import dump

CRDS = Path(__file__).parents[2] / "helpers" / "crds"
MADE = bundle.files(Objective(), kubernetes_target=kubernetes.Target("bots", "kube-prometheus"))
FILES = {Path(name).name: text for name, text in MADE.items() if name.startswith("kubernetes/")}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C: parameters need the objects at import
OBJECTS: list[dict[str, Any]] = [
    item for name, text in FILES.items() if name != "kustomization.yaml" for item in yaml.load_all(text, LOADER)
]
CUSTOM = {"PrometheusRule", "PodMonitor"}


def one(kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    (found,) = [item for item in OBJECTS if item["kind"] == kind]
    return found


def relabelled(name: str, pod: str) -> dict[str, str]:
    """Return the labels of a sample of a pod after the PodMonitor's rules, applied as Prometheus does."""
    labels = {"__name__": name, "pod": pod, "instance": "10.0.0.7:9464"}
    for rule in one("PodMonitor")["spec"]["podMetricsEndpoints"][0]["metricRelabelings"]:
        found = re.fullmatch(rule["regex"], ";".join(labels.get(label, "") for label in rule["sourceLabels"]))
        if found is not None:
            value = rule.get("replacement", "$1").replace("$1", found.group(1) if found.groups() else "")
            labels[rule["targetLabel"]] = value
    return {label: value for label, value in labels.items() if value and not label.startswith("__")}


@pytest.mark.parametrize("item", OBJECTS, ids=lambda item: f"{item['kind']} {item['metadata']['name']}")
def test_each_object_fits_its_schema(item: dict[str, Any]) -> None:
    """Kubernetes' own kinds by its published schemas, those of the operator by ours, both strictly."""
    if item["kind"] in CUSTOM:
        schema = yaml.safe_load((CRDS / f"{item['kind'].lower()}.yaml").read_text())
        jsonschema.Draft7Validator(schema).validate(item)
    else:
        kubernetes_validate.validate(item, "1.31", strict=True)


def test_a_wrong_object_does_not_fit() -> None:
    """The schemas would notice."""
    wrong = json.loads(json.dumps(one("PrometheusRule")))
    wrong["spec"]["groups"][0]["rules"][0]["fro"] = "5m"
    schema = yaml.safe_load((CRDS / "prometheusrule.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError, match="fro"):
        jsonschema.Draft7Validator(schema).validate(wrong)


def test_namespace_and_release_are_everywhere() -> None:
    """An operator's Prometheus selects by the label `release`."""
    assert {item["metadata"]["namespace"] for item in OBJECTS} == {"bots"}
    assert {item["metadata"]["labels"]["release"] for item in OBJECTS if item["kind"] in CUSTOM} == {"kube-prometheus"}
    told = yaml.safe_load(FILES["kustomization.yaml"])
    assert set(told["resources"]) == set(FILES) - {"kustomization.yaml"}
    assert told["namespace"] == "bots"


def test_the_rules_are_those_of_the_files() -> None:
    """Not one more or less."""
    files = [yaml.safe_load(MADE[f"rules/{name}.yml"]) for name in ("recording", "alerting")]
    assert one("PrometheusRule")["spec"]["groups"] == [group for file in files for group in file["groups"]]


def test_the_dashboards_are_those_of_the_files() -> None:
    """A sidecar of Grafana finds them by their label. A ConfigMap holds 1 MiB at most."""
    maps = [item for item in OBJECTS if item["kind"] == "ConfigMap"]
    held = {name: text for item in maps for name, text in item["data"].items()}
    theirs = {Path(name).name: text for name, text in MADE.items() if name.startswith("dashboards/")}
    assert {name: json.loads(text) for name, text in held.items()} == {n: json.loads(t) for n, t in theirs.items()}
    assert {item["metadata"]["labels"]["grafana_dashboard"] for item in maps} == {"1"}
    assert max(map(len, held.values())) < 1024 * 1024


def test_monitor_service_and_deployment_find_each_other() -> None:
    """By labels, the port's name and the job that dashboards expect."""
    deployment, monitor = one("Deployment")["spec"], one("PodMonitor")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert monitor["selector"] == deployment["selector"] == {"matchLabels": labels}
    assert one("Service")["spec"]["selector"] == labels
    assert labels[monitor["jobLabel"]] == "whatsapp-bot"
    container = deployment["template"]["spec"]["containers"][0]
    assert [port["name"] for port in container["ports"]] == [monitor["podMetricsEndpoints"][0]["port"]]
    assert container["image"] == f"chatvitals:{chatvitals.__version__}"
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("readiness", "liveness")} == {
        "/-/ready",
        "/-/healthy",
    }


def test_the_deployment_s_command_starts_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the store of the Secret, which is a variable and no argument."""
    called: list[tuple[Any, ...]] = []

    def run(*given: Any, **_: Any) -> int:
        called.append(given)
        return 0

    monkeypatch.setattr(exporter, "run", run)
    command, *words = one("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
    assert (command, main.main(words)) == ("chatvitals", 0)
    assert called == [(None, "0.0.0.0", 9464, None)]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_metrics_of_a_process_keep_their_pod_and_others_are_one_series(family: Any) -> None:
    """Whichever pod shows them, and however often pods are replaced."""
    kept = {"pod": "bot-1"} if family.scope == "process" else {}
    assert relabelled(family.name, "bot-1") == {"instance": "whatsapp-bot", **kept}


def test_metrics_of_others_are_left_alone() -> None:
    """The bot's own metrics know their pod and instance."""
    assert relabelled("python_info", "bot-1") == {"pod": "bot-1", "instance": "10.0.0.7:9464"}


def test_links_lead_to_your_grafana_and_runbook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the rule files as well as in the object."""
    words = ["--grafana-url", "https://grafana.example/", "--runbook-url", "https://wiki.example/runbook"]
    assert main.main(["assets", "--out", str(tmp_path), "--kubernetes", *words]) == 0
    assert f"kubectl apply -k {tmp_path / 'kubernetes'}" in capsys.readouterr().out
    for name in ("rules/alerting.yml", "kubernetes/prometheus-rule.yaml"):
        text = (tmp_path / name).read_text()
        assert "runbook_url: https://wiki.example/runbook#whatsapp" in text
        assert "dashboard_url: https://grafana.example/d/chatvitals-" in text
        assert "github.com" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--namespace", "My Bots"], "--namespace must be a name of lower-case letters"),
        (["--release", ""], "--release must be"),
        (["--image", "a b"], "--image must be"),
    ],
)
def test_a_name_that_kubernetes_refuses_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written."""
    assert main.main(["assets", "--out", str(tmp_path / "new"), "--kubernetes", *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_an_address_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the option's name."""
    assert main.main(["assets", "--out", str(tmp_path / "new"), "--grafana-url", "grafana"]) == 2
    assert "--grafana-url must be an address such as https://grafana.example, not 'grafana'" in capsys.readouterr().err


def test_values_come_back_from_yaml_as_they_were() -> None:
    """Whatever YAML would take for something else."""
    value = {
        "texts": ["yes", "1", "1.5", "", "a: b", "#", "null", "on", "- x", "é", '"', "Plain", "10s", "0x1", "~"],
        "block": "one\n\n  two\n",
        "block2": "one\ntwo",
        "odd": [" lead\nx", "\nx"],
        "nested": [{"a": [1, 2], "b": {}}, {"c": None, "d": [True]}],
        "empty": [],
        "y": 1.5,
    }
    assert yaml.safe_load(dump(value)) == value
