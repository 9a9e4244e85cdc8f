"""A simulated month on a real Prometheus, made once for all tests of a session: it takes minutes."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from chatvitals.simulator.history import History
from chatvitals.simulator.story import DAY, HOUR, STORIES
from tests.helpers.grafana import GRAFANA
from tests.helpers.openmetrics_history import write
from tests.helpers.prometheus import Prometheus, prometheus
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STORY = STORIES["quality-drop"]
SLOW, WELL = (line.number for line in STORY.lines)
DAYS = 30.0
EVERY = 240.0
WEEK, MONDAY = 7 * DAY, 4 * DAY  # the epoch was a Thursday


class Month(NamedTuple):
    """A server that holds the month."""

    server: Prometheus
    start: float
    end: float

    def share(self, share: float) -> float:
        """Return when this share of the month was over, to the hour: rules were evaluated then."""
        return math.ceil((self.start + share * DAYS * DAY) / HOUR) * HOUR

    def holds(self, name: str, at: float) -> set[str]:
        """Return for which numbers an alert's condition held. Other labels where it is not about a number."""
        found = set()
        for alert in alerts(Objective()):
            if alert.name == name:
                for series in self.server.get("query", query=alert.expr, time=f"{at}")["result"]:
                    found.add(series["metric"].get("phone_number_id") or str(sorted(series["metric"].items())))
        return found

    def first(self, query: str) -> float:
        """Return the first full hour at which a query has a result."""
        series = self.server.get("query_range", query=query, start=f"{self.share(0)}", end=f"{self.end}", step="3600")
        return min(float(at) for each in series["result"] for at, _ in each["values"])


@contextmanager
def simulated_month(folder: Path) -> Iterator[Month]:
    """Simulate and backfill a month, and then what recording rules would have made of it."""
    end = (time.time() - 4 * HOUR - MONDAY) // WEEK * WEEK + MONDAY  # the same month whenever this runs
    history, data = folder / "history.om", folder / "data"
    write(History(STORY, start=end - DAYS * DAY, days=DAYS, seed=1, every=EVERY), history, job="whatsapp-bot")
    backfill("--max-block-duration=486h", "openmetrics", str(history), str(data))
    history.unlink()
    found = Month(Prometheus("", folder), end - DAYS * DAY, end)
    (folder / "rules").mkdir()
    for rules in (GRAFANA / "rules").glob("*.yml"):  # evaluated at once, not within a minute
        (folder / "rules" / rules.name).write_text(rules.read_text().replace("interval: 1m", "interval: 1s"))
    config = f'{{global: {{evaluation_interval: 1s}}, rule_files: ["{folder}/rules/*.yml"]}}'
    with prometheus(config, folder) as server:
        recorded = folder / "recorded.om"
        recorded.write_text("".join(_recorded(found._replace(server=server))))
    backfill("--max-block-duration=486h", "openmetrics", str(recorded), str(data))
    with prometheus(config, folder) as server:
        yield found._replace(server=server)
    shutil.rmtree(folder)


def _recorded(month: Month) -> Iterator[str]:
    """Yield the series of the recording rules at each full hour, as OpenMetrics."""
    period = {"start": f"{month.share(0)}", "end": f"{month.end}", "step": "3600"}
    for rule in recordings(Objective()):
        yield f"# TYPE {rule.name} gauge\n"
        for series in month.server.get("query_range", query=rule.expr, **period)["result"]:
            labels = ",".join(f'{name}="{value}"' for name, value in series["metric"].items())
            yield from (f"{rule.name}{{{labels}}} {value} {at}\n" for at, value in series["values"])
    yield "# EOF\n"


def backfill(*words: str) -> None:
    """Make blocks of a file of OpenMetrics."""
    command = [require("promtool"), "tsdb", "create-blocks-from", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
