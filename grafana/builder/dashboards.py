"""All dashboards as Grafana's classic JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from builder import instrumentation, journeys, overview, quality, response, templates
from chatvitals.monitoring.dashboards import as_text

if TYPE_CHECKING:
    from builder.board import Board

_MODULES: Final = (overview, quality, response, journeys, templates, instrumentation)


def boards() -> list[Board]:
    """Return the dashboards, the overview first."""
    return [module.board() for module in _MODULES]


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    made = {board.uid: json.loads(json.dumps(board.build(), cls=JSONEncoder)) for board in boards()}
    return {f"dashboards/{uid}.json": as_text(content) for uid, content in made.items()}
