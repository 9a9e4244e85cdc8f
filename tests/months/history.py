"""One simulated month in a Prometheus, with the series that recording rules would have made."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatvitals.metrics import catalogue
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from chatvitals.simulator.months import DAYS, MONTHS, Month
from chatvitals.simulator.story import DAY
from tests.helpers.openmetrics_history import write
from tests.helpers.prometheus import Prometheus, prometheus
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START: Final = 1_790_553_600.0 // (7 * DAY) * (7 * DAY) + 4 * DAY
"""A Monday."""
EVERY: Final = 150.0
STEP: Final = 300
"""Seconds between two evaluations of a rule."""
_BLOCKS: Final = "--max-block-duration=486h"
_EXPRESSIONS: Final = [rule.expr for rule in recordings(Objective())] + [rule.expr for rule in alerts(Objective())]
_NAMES: Final = {name for expr in _EXPRESSIONS for name in re.findall(r"(?<![:\w])chatvitals_\w+", expr)}
_READ: Final = catalogue.FAMILIES.keys() & (_NAMES | {re.sub(r"_(bucket|sum|count)$", "", name) for name in _NAMES})


@dataclass(frozen=True, slots=True)
class Recorded:
    """A month in a Prometheus, and when its incident was."""

    server: Prometheus
    begins: float
    ends: float

    def over(self, query: str, since: float) -> list[tuple[dict[str, str], list[float]]]:
        """Return each series of a query with the times at which it had a value."""
        period = {"start": f"{START + since}", "end": f"{START + DAYS * DAY}", "step": f"{STEP}"}
        found = self.server.get("query_range", query=query, **period)["result"]
        return [(each["metric"], [float(at) for at, _ in each["values"]]) for each in found]


@contextmanager
def recorded(name: str, folder: Path, *, since: float = 0.0, seed: int = 1) -> Iterator[Recorded]:
    """Simulate a month, or take it from `folder`, and serve it.

    Args:
        name: a name of `MONTHS`.
        folder: where the month is kept; a later call finds it there.
        since: seconds after the start from which on rules are evaluated at each step; before it, hourly.
        seed: another one gives another month of the same kind.

    """
    month = Month(MONTHS[name], start=START, seed=seed, every=EVERY, fine_after=max(0.0, since / DAY - 0.25))
    config = "{global: {evaluation_interval: 1h}}"
    data = folder / "data"
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        raw, more = folder / "raw.om", folder / "recorded.om"
        write(month, raw, job="bot", names=_READ)
        _backfill(raw, data)
        with prometheus(config, folder) as server:
            more.write_text("".join(_records(server, since)))
        _backfill(more, data)
        for file in (raw, more):
            file.unlink()
        (folder / "done").touch()
    with prometheus(config, folder) as server:
        yield Recorded(server, month.begins, month.ends)


def _records(server: Prometheus, since: float) -> Iterator[str]:
    """Yield what the recording rules would have made, as OpenMetrics: hourly at first, then at each step."""
    fine = START + since
    periods = [(fine, START + DAYS * DAY, STEP)]
    if since:
        periods.insert(0, (START, fine - 3600, 3600))
    for rule in recordings(Objective()):
        yield f"# TYPE {rule.name} gauge\n"
        for start, end, step in periods:
            period = {"start": f"{start}", "end": f"{end}", "step": f"{step}"}
            for series in server.get("query_range", query=rule.expr, **period)["result"]:
                labels = ",".join(f'{label}="{value}"' for label, value in series["metric"].items())
                yield from (f"{rule.name}{{{labels}}} {value} {at}\n" for at, value in series["values"])
    yield "# EOF\n"


def _backfill(file: Path, data: Path) -> None:
    command = [require("promtool"), "tsdb", "create-blocks-from", _BLOCKS, "openmetrics", str(file), str(data)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
