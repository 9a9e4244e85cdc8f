"""All dashboards as Grafana's classic JSON, in two variants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from builder import instrumentation, journeys, overview, quality, response, templates

if TYPE_CHECKING:
    from builder.board import Board
    from chatvitals.monitoring.slo import Objective

_MODULES: Final = (overview, quality, response, journeys, templates, instrumentation)
_INPUT: Final = "DS_PROMETHEUS"
_PANELS: Final = {
    "bargauge": "Bar gauge", "heatmap": "Heatmap", "stat": "Stat", "state-timeline": "State timeline",
    "table": "Table", "timeseries": "Time series",
}  # fmt: skip


def boards(objective: Objective) -> list[Board]:
    """Return the dashboards, the overview first."""
    return [module.board(objective) for module in _MODULES]


def files(objective: Objective) -> dict[str, str]:
    """Return the text of each file: one variant to provision, one for grafana.com, which asks for the data source."""
    found = {}
    for board in boards(objective):
        text = json.dumps(board.build(), cls=JSONEncoder, indent=2, ensure_ascii=False)
        found[f"dashboards/{board.uid}.json"] = text + "\n"
        shared = json.dumps(_shared(json.loads(text)), indent=2, ensure_ascii=False)
        found[f"grafana.com/{board.uid}.json"] = shared + "\n"
    return found


def _shared(made: dict[str, Any]) -> dict[str, Any]:
    """Return the variant that grafana.com takes: the data source is asked for on import."""
    text = json.dumps(made, ensure_ascii=False).replace("${datasource}", f"${{{_INPUT}}}")
    content: dict[str, Any] = json.loads(text)
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
    return head | content
