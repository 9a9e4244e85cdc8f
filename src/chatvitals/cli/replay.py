"""`chatvitals replay`: measure a log of raw webhooks with the same rules and the log's own clock."""

from __future__ import annotations

import math
import os
import stat
import sys
from collections import Counter
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final

from chatvitals.analysis import quantiles
from chatvitals.cli import _common
from chatvitals.cli._progress import watched
from chatvitals.cli.webhook_log import LogLine, OrderError, WebhookLog
from chatvitals.exporters.openmetrics import Spool
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.settings import Settings, SettingsError
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.cli._progress import Progress
    from chatvitals.metrics.measurements import Cell

_NAMED_LINES: Final = 20  # of unreadable lines; the others are only counted


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Feed a log of raw webhook bodies through the same rules, with the log's own clock. Each line is a JSON "
        'object: {"received": 1795392000.2, "body": "..." or "base64": "...", "headers": {...}}.'
    )
    parser.add_argument("file", type=_common.path, metavar="FILE.jsonl", help="the log (- reads standard input)")
    parser.add_argument(
        "--openmetrics",
        type=_common.output,
        metavar="OUT",
        help="write all metrics over time, for backfilling Prometheus",
    )
    parser.add_argument(
        "--every",
        type=_common.seconds,
        default=60.0,
        metavar="S",
        help="seconds between samples in OUT (default: %(default)g)",
    )
    parser.set_defaults(run=lambda options: run(options.file, options.openmetrics, every=options.every))


def run(path: Path, openmetrics: Path | None, *, every: float) -> int:
    """Replay the log `path`, print a summary and optionally write OpenMetrics. Return the exit status.

    Args:
        path: the log with one JSON object per line. `-` is standard input.
        openmetrics: file for all samples with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
        every: seconds between two samples.

    Returns:
        0 for success. 2 where the log cannot be read, holds no webhook or goes back in time too far, where the output
        is the log itself, or where a setting is invalid.

    """
    try:
        settings = Settings.load({"store": "memory:", "hooks": False})
        with ExitStack() as stack:
            source = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            size = None if str(path) == "-" else path.stat().st_size
            if openmetrics is not None and _is_same(source, openmetrics):
                return _common.refused("replay", f"{openmetrics} is the log itself. Name another file for the output")
            spool = None if openmetrics is None else stack.enter_context(Spool(openmetrics))
            replay = _Replay(settings, spool, every)
            replay.read(source, watched(stack, "replaying", size))
            replay.tell_skipped()
            if not replay.lines:
                return _common.refused("replay", f"{path} holds no webhook ({replay.skipped} lines could not be read)")
            replay.finish()
    except (OSError, SettingsError, OrderError) as error:
        return _common.refused("replay", _common.reason(error))
    sys.stdout.write(replay.summary() + "\n")
    return _common.OK


class _Replay:
    """The state of one replay."""

    def __init__(self, settings: Settings, spool: Spool | None, every: float) -> None:
        self.lines = 0
        self.skipped = 0
        self._now = 0.0
        self._first = 0.0
        self._next_sample = math.inf
        self._spool = spool
        self._every = every
        self._vitals = Vitals(settings, clock=lambda: self._now, background=False)

    def read(self, source: IO[bytes], progress: Progress) -> None:
        """Replay all lines in order of time. An unreadable line is reported, counted and skipped.

        Raises:
            OrderError: the log goes back in time too far.

        """
        for line in WebhookLog(source, progress.advance, self._skip):
            self._take(line)

    def tell_skipped(self) -> None:
        """Report how many more lines were skipped than were named."""
        if self.skipped > _NAMED_LINES:
            sys.stderr.write(f"chatvitals replay: {self.skipped - _NAMED_LINES} more lines are skipped\n")

    def _skip(self, number: int, reason: str) -> None:
        self.skipped += 1
        if self.skipped <= _NAMED_LINES:
            sys.stderr.write(f"chatvitals replay: line {number} is skipped: {reason}\n")

    def finish(self) -> None:
        """Let time pass until the last turns have ended, because their ends belong to the history."""
        last = self._now
        self._move(last + self._vitals.settings.unanswered_after + 2 * self._vitals.settings.settle_after)
        self._sample(self._now)

    def summary(self) -> str:
        """Return the results as text."""
        cells = self._vitals.store.cells()
        rows: list[tuple[str, str]] = [
            ("lines", f"{self.lines} read, {self.skipped} skipped"),
            ("webhooks", _counts(cells, catalogue.WEBHOOKS.name, 0)),
            ("messages", f"{_total(cells, catalogue.MESSAGES_RECEIVED.name):g}"),
            ("duplicates", f"{_total(cells, catalogue.DUPLICATES.name):g}"),
            ("conversations", f"{_total(cells, catalogue.CONVERSATIONS_STARTED.name):g}"),
            ("turns", f"{_total(cells, catalogue.TURNS_OPENED.name):g}"),
            ("  ended", _counts(cells, catalogue.TURNS.name, 2)),
            ("average response", _average(cells)),
            ("wait p50, p95", f"{_quantile(cells, 0.5)}, {_quantile(cells, 0.95)}"),
        ]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _take(self, line: LogLine) -> None:
        self.lines += 1
        if not self._first:
            self._first = self._now = line.received
            self._next_sample = line.received
        self._move(line.received)
        self._vitals.observe_webhook(line.body, line.headers)
        self._vitals._pipeline.drain()

    def _move(self, to: float) -> None:
        if self._spool is not None:
            quiet = self._now + self._vitals.settings.unanswered_after + self._every  # nothing changes later
            while self._next_sample <= min(to, quiet):
                self._sample(self._next_sample)
                self._next_sample += self._every
            self._next_sample = max(to, self._next_sample)  # a gap in the log stays a gap in the history
        self._now = max(self._now, to)
        self._vitals._pipeline.sweep()

    def _sample(self, at: float) -> None:
        self._now = max(self._now, at)
        self._vitals._pipeline.sweep()
        if self._spool is not None:
            for metric in self._vitals.collector.collect():
                self._spool.add(metric, at)


def _is_same(source: IO[bytes], target: Path) -> bool:
    """Return whether the output is the log file itself, under any name."""
    try:
        read, written = os.fstat(source.fileno()), target.stat()
    except (OSError, ValueError):  # the source is not a file, or the output does not exist yet
        return False
    return os.path.samestat(read, written) and stat.S_ISREG(read.st_mode)


def _matching(cells: dict[Cell, float], family: str) -> Iterator[tuple[Cell, float]]:
    return ((cell, value) for cell, value in cells.items() if cell[0] == family)


def _total(cells: dict[Cell, float], family: str) -> float:
    return sum(value for _, value in _matching(cells, family))


def _counts(cells: dict[Cell, float], family: str, label: int) -> str:
    found: Counter[str] = Counter()
    for (_, labels, _), value in _matching(cells, family):
        found[labels[label]] += int(value)
    return ", ".join(f"{amount} {name}" for name, amount in sorted(found.items())) or "none"


def _average(cells: dict[Cell, float]) -> str:
    found = list(_matching(cells, catalogue.RESPONSE_SECONDS.name))
    count = sum(value for cell, value in found if cell[2] != SUM)
    return f"{sum(value for cell, value in found if cell[2] == SUM) / count:.1f} s" if count else "-"


def _quantile(cells: dict[Cell, float], q: float) -> str:
    """Return the bucket of a quantile of the waits."""
    bounds = (*catalogue.WAIT_SECONDS.buckets, math.inf)
    counts: Counter[float] = Counter()
    for (_, _, field), value in _matching(cells, catalogue.WAIT_SECONDS.name):
        if field != SUM:
            counts[bounds[field]] += int(value)
    _, upper = quantiles.bucket_of(counts, q)
    if math.isnan(upper):
        return "-"
    at_most = "≤" if _common.can_show("≤") else "<="
    return f"{at_most} {upper:g} s" if math.isfinite(upper) else f"> {bounds[-2]:g} s or no answer"
