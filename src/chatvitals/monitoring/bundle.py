"""All files of `chatvitals assets`: what is rendered for an objective, and what is shipped as it is."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring import rule_tests, rules_yaml, runbook
from chatvitals.monitoring.dashboards import retargeted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from chatvitals.monitoring.slo import Objective

SHIPPED: Final = ("alertmanager.yml", "compose.yaml", "dashboards", "grafana.com", "prometheus.yml", "provisioning")
"""Files and folders of `grafana/` that a wheel carries (`pyproject.toml` names them, too)."""


def files(objective: Objective) -> dict[str, str]:
    """Return the text of each file by its path.

    Raises:
        FileNotFoundError: the installation is incomplete.

    """
    found = rendered(objective)
    folder = _folder()
    for name in SHIPPED:
        for path, text in _texts(folder.joinpath(name), name):
            found[path] = retargeted(text, objective) if path.endswith(".json") else text
    return dict(sorted(found.items()))


def rendered(objective: Objective) -> dict[str, str]:
    """Return the text of those that are made from an objective alone."""
    return {
        "README.md": runbook.page(objective),
        "rules/recording.yml": rules_yaml.recording_rules(objective),
        "rules/alerting.yml": rules_yaml.alerting_rules(objective),
        "rules/tests/quick.yml": rule_tests.as_promtool(rule_tests.quick(objective)),
        "rules/tests/slow.yml": rule_tests.as_promtool(rule_tests.slow()),
    }


def _folder() -> Traversable:
    """Return where they lie: in the installed package, or in a checkout's `grafana/`."""
    packed = resources.files("chatvitals.monitoring") / "files"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[3] / "grafana"


def _texts(place: Traversable, name: str) -> Iterator[tuple[str, str]]:
    if place.is_dir():
        for inner in place.iterdir():
            yield from _texts(inner, f"{name}/{inner.name}")
    else:
        yield name, place.read_text(encoding="utf-8")
