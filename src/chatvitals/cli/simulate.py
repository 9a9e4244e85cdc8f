"""`chatvitals simulate`: write a simulated month of a bot as history for Prometheus."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily

from chatvitals.cli import _common
from chatvitals.cli._progress import watched
from chatvitals.exporters.openmetrics import Spool
from chatvitals.metrics import catalogue
from chatvitals.simulator.history import History
from chatvitals.simulator.story import DAY, STORIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client.core import Metric

    from chatvitals.cli._progress import Progress

_LIVE_HEAD = 3 * 3600.0  # Prometheus accepts no blocks that overlap its current data
_TARGET = {"job": "whatsapp-bot", "instance": "simulated"}  # the labels of a scraped target
_RATINGS = {3.0: "GREEN", 2.0: "YELLOW", 1.0: "RED", 0.0: "unknown"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Simulate customers, bot and WhatsApp on a virtual clock, through the real rules. Write all metrics over time "
        "as OpenMetrics, for promtool to backfill: about 70 MB a day. While it runs, the folder for temporary files "
        "needs as much. A FILE that ends in .gz is compressed to 3 %. With --every 3600 besides, a month takes less "
        "than a minute and 10 MB."
    )
    parser.add_argument("--openmetrics", type=_common.output, required=True, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--scenario", choices=list(STORIES), default=next(iter(STORIES)), help="what happens (default: %(default)s)"
    )
    parser.add_argument("--days", type=_common.days, default=30.0, metavar="N", help="how long (default: %(default)g)")
    parser.add_argument(
        "--seed",
        type=_common.whole,
        default=1,
        metavar="N",
        help="random seed, with which the history can be repeated (default: 1)",
    )
    parser.add_argument(
        "--every",
        type=_common.seconds,
        default=240.0,
        metavar="S",
        help="seconds between samples (default: %(default)g)",
    )
    parser.add_argument(
        "--effect",
        type=_effect,
        default=0.0,
        metavar="P",
        help="points by which a variant of the experiment is better (default: 0, no difference)",
    )
    parser.set_defaults(
        run=lambda options: run(
            options.openmetrics,
            scenario=options.scenario,
            days=options.days,
            seed=options.seed,
            every=options.every,
            effect=options.effect / 100,
        )
    )


def run(  # noqa: PLR0913 - one argument per option
    target: Path,
    *,
    scenario: str,
    days: float,
    seed: int,
    every: float,
    effect: float = 0.0,
    end: float | None = None,
) -> int:
    """Simulate a history and write it as OpenMetrics. Return the exit status.

    Args:
        target: the file to write.
        scenario: a name of `STORIES`.
        days: length of the period in days.
        seed: random seed. The same seed gives the same history.
        every: seconds between two samples.
        effect: excess of one variant in the experiment's goal, as a share of contacts.
        end: end of the period in Unix seconds. The default is three hours ago.

    Returns:
        0, or 2 if the file cannot be written.

    """
    end = (time.time() - _LIVE_HEAD if end is None else end) // every * every
    history = History(STORIES[scenario], start=end - days * DAY, days=days, seed=seed, every=every, effect=effect)
    try:
        with ExitStack() as stack:
            spool = stack.enter_context(Spool(target, _TARGET))
            progress = watched(stack, "simulating", days * DAY / every)
            told = list(_changes(_spooled(history, spool, progress)))
    except OSError as error:
        return _common.refused("simulate", _common.reason(error))
    plain = target.with_suffix("") if target.suffix == ".gz" else target
    unpack = f"  gunzip --keep {target}\n" if target.suffix == ".gz" else ""
    for at, what in told:
        sys.stdout.write(f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}  {what}\n")
    sys.stdout.write(
        f"\n{target} holds {days:g} days in {target.stat().st_size / 1e6:,.0f} MB. "
        f"Backfill a Prometheus whose retention is longer, then restart it:\n{unpack}"
        f"  promtool tsdb create-blocks-from --max-block-duration=486h openmetrics {plain} data/\n"
    )
    return _common.OK


def _spooled(history: History, spool: Spool, progress: Progress) -> Iterator[tuple[float, list[Metric]]]:
    up = GaugeMetricFamily("up", "Whether the target could be scraped.", value=1)
    for at, metrics in history.play():
        for metric in (*metrics, up):
            spool.add(metric, at)
        progress.advance(1)
        yield at, metrics


def _changes(samples: Iterable[tuple[float, list[Metric]]]) -> Iterator[tuple[float, str]]:
    """Yield changes of the bot's version and of ratings, with their times."""
    seen: dict[str, str] = {}
    for at, metrics in samples:
        for what, value in _states(metrics):
            if seen.get(what) != value:
                yield at, f"{what}: {value}" if what not in seen else f"{what}: {seen[what]} -> {value}"
                seen[what] = value


def _states(metrics: list[Metric]) -> Iterator[tuple[str, str]]:
    for metric in metrics:
        for sample in metric.samples:
            if metric.name == catalogue.BUILD_INFO.name:
                yield "bot", sample.labels["app_version"]
            elif metric.name == catalogue.QUALITY_RATING.name:
                yield f"rating of {sample.labels[catalogue.NUMBER]}", _RATINGS[sample.value]
            elif metric.name == catalogue.TEMPLATE_QUALITY.name:
                yield f"template {sample.labels['template']}", _RATINGS[sample.value]


def _effect(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if not 0.0 <= points <= 40.0:
        raise argparse.ArgumentTypeError(f"must be points from 0 to 40, not {text!r}")
    return points
