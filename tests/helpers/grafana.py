"""The generated dashboards as tests read them: what each asks for, and with which values in place of variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAFANA: Final = Path(__file__).parents[2] / "grafana"
PAGES: Final = sorted((GRAFANA / "dashboards").glob("*.json"))
VALUES: Final = {
    "__rate_interval": "1h", "__range": "7d", "__interval": "1m", "phone": ".+", "job": ".*", "journey": "order",
    "window": "1h", "in_hours": ".*", "business": ".*", "slo": "0.95", "threshold": "60", "experiment": "greeting",
    "drop": "1795154400",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a dashboard: `kind` is panel, annotation or variable, `name` its title."""

    kind: str
    name: str
    expr: str
    legend: str = ""
    instant: bool = False
    links: list[str] = field(default_factory=list)


def page(path: Path) -> dict[str, Any]:
    """Return a dashboard."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def panels(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels, without the headings of rows."""
    return [panel for panel in content["panels"] if panel["type"] != "row"]


def variables(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the variables that ask Prometheus."""
    return [each for each in content["templating"]["list"] if each["type"] == "query"]


def asked(content: dict[str, Any]) -> Iterator[Asked]:
    """Yield the queries of panels and annotations."""
    for panel in panels(content):
        for target in panel["targets"]:
            legend = target.get("legendFormat", "")
            yield Asked("panel", panel["title"], target["expr"], legend, target.get("instant", False))
    for annotation in content["annotations"]["list"]:
        legend = annotation["titleFormat"] + annotation["textFormat"]
        yield Asked("annotation", annotation["name"], annotation["expr"], legend)


def selectors(content: dict[str, Any]) -> Iterator[str]:
    """Yield the PromQL of the variables."""
    for variable in variables(content):
        query = variable["query"]["query"]
        for pattern in (r"query_result\((.+)\)", r"label_values\((.+), \w+\)"):
            if found := re.fullmatch(pattern, query):
                yield found[1]


def expanded(text: str, values: dict[str, str] = VALUES) -> str:
    """Return a query with values in place of variables.

    Raises:
        KeyError: there is no such variable.

    """
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)
