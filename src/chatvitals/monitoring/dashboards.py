"""Dashboards for `chatvitals assets`, with the objective, in one form to provision and another to import.

The committed dashboards hold the objective in two constant variables, `$slo` and `$threshold`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chatvitals.monitoring.slo import Objective

_INPUT: Final = "DS_PROMETHEUS"
_PANELS: Final = {
    "bargauge": "Bar gauge", "heatmap": "Heatmap", "stat": "Stat", "state-timeline": "State timeline",
    "table": "Table", "text": "Text", "timeseries": "Time series",
}  # fmt: skip


def with_objective(text: str, objective: Objective) -> str:
    """Return a dashboard's JSON with another objective in its constant variables."""
    content: dict[str, Any] = json.loads(text)
    values = constants(objective)
    for variable in content["templating"]["list"]:
        if variable["type"] == "constant":
            variable["query"] = values[variable["name"]]
    return as_text(content)


def constants(objective: Objective) -> dict[str, str]:
    """Return the values of the dashboards' constant variables."""
    return {"slo": f"{objective.share:g}", "threshold": f"{objective.threshold}"}


def to_import(text: str) -> str:
    """Return a dashboard in grafana.com's form. Grafana asks for the data source on import."""
    content: dict[str, Any] = json.loads(text.replace("${datasource}", f"${{{_INPUT}}}"))
    variables = content["templating"]["list"]
    content["templating"]["list"] = [each for each in variables if each["type"] != "datasource"]
    kinds = sorted({panel["type"] for panel in content["panels"]} - {"row"})
    head = {
        "__inputs": [
            {"name": _INPUT, "label": "Prometheus", "description": "", "type": "datasource", "pluginId": "prometheus",
             "pluginName": "Prometheus"}
        ],
        "__elements": {},
        "__requires": [
            {"type": "grafana", "id": "grafana", "name": "Grafana", "version": "10.4.0"},
            {"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"},
            *({"type": "panel", "id": kind, "name": _PANELS[kind], "version": ""} for kind in kinds),
        ],
    }  # fmt: skip
    return as_text(head | content)


def as_text(content: dict[str, Any]) -> str:
    """Return the text of a dashboard's file."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
