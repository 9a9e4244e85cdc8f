"""The first row of every page: whether its numbers can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from builder import promql
from builder.kit import BLUE, Query, stat_panel

if TYPE_CHECKING:
    from builder.kit import Panel

RULES: Final = f"phone_number_id:chatvitals_turns_opened:increase1h{{{promql.JOB}}}"
"""A recorded series. It exists where the rules are loaded."""
_STORE: Final = promql.own("store_up")
_LATEST: Final = promql.own("webhooks_total", 'result="accepted"')


def panels() -> list[tuple[int, Panel]]:
    """Return the panels with their widths."""
    age = f"time() - max(max_over_time(timestamp({_LATEST})[1d:1m]))"
    return [
        (8, stat_panel(
            "Store", "UP: every process of the bot reaches the store. DOWN: the numbers of this page stand still. "
            "Repair the store. The bot's log names the error.", [Query(f"min({_STORE})")], mapping="up",
            nothing="no bot is scraped: see the targets, or choose another job")),
        (8, stat_panel(
            "Age of the numbers", "Time since Prometheus last read numbers of the store. Over five minutes: the bot, "
            "the scrape or the store is down, and the panels below are empty.", [Query(age)], unit="s", decimals=0,
            limits=((None, BLUE), (300.0, "red")), nothing="no numbers for a day")),
        (8, stat_panel(
            "Alert rules", "LOADED: this Prometheus records the series that the alerts read. Grey: no alert can fire "
            "from here. Load the rules as grafana/README.md says.", [Query(f"count({RULES}) > bool 0")],
            mapping="loaded", nothing="not loaded here")),
    ]  # fmt: skip
