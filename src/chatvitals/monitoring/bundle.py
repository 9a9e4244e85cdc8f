"""All files of `chatvitals assets`, which are made for an objective or shipped unchanged."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring import dashboards, kubernetes, rules_yaml, runbook
from chatvitals.monitoring.links import Links

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from chatvitals.monitoring.slo import Objective

_LINKS: Final = Links()
SHIPPED: Final = ("alertmanager.yml", "compose.yaml", "dashboards", "prometheus.yml", "provisioning", "rules/tests")
"""Files and folders of `grafana/` that a wheel carries (`pyproject.toml` names them, too)."""


def files(
    objective: Objective, *, links: Links = _LINKS, kubernetes_target: kubernetes.Target | None = None
) -> dict[str, str]:
    """Return the text of each file by its path.

    Args:
        objective: the service level objective.
        links: where the links of alerts lead.
        kubernetes_target: where objects for Kubernetes go. None leaves them out.

    Raises:
        FileNotFoundError: the installation is incomplete.

    """
    found = rendered(objective, links)
    folder = _folder()
    for name in SHIPPED:
        for path, text in _texts(folder.joinpath(name), name):
            found[path] = text
            if name == "dashboards":
                found[path] = dashboards.with_objective(text, objective)
                found[path.replace("dashboards/", "grafana.com/")] = dashboards.to_import(found[path])
    if kubernetes_target is not None:
        found |= kubernetes.files(found, kubernetes_target)
    return dict(sorted(found.items()))


def rendered(objective: Objective, links: Links = _LINKS) -> dict[str, str]:
    """Return the text of the files that depend only on an objective and links."""
    return {
        "README.md": runbook.page(objective, _folder().joinpath("months.txt").read_text(encoding="utf-8")),
        "rules/recording.yml": rules_yaml.recording_rules(objective),
        "rules/alerting.yml": rules_yaml.alerting_rules(objective, links),
    }


def _folder() -> Traversable:
    """Return the folder of the shipped files, in the installed package or in a checkout's `grafana/`."""
    packed = resources.files("chatvitals.monitoring") / "files"
    return packed if packed.is_dir() else Path(__file__).resolve().parents[3] / "grafana"


def _texts(place: Traversable, name: str) -> Iterator[tuple[str, str]]:
    if place.is_dir():
        for inner in place.iterdir():
            yield from _texts(inner, f"{name}/{inner.name}")
    else:
        yield name, place.read_text(encoding="utf-8")
