"""`chatvitals replay`: a log of raw webhooks through the same rules, with the log's own clock."""

from __future__ import annotations

import math
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec

from chatvitals.cli._progress import watched
from chatvitals.exporters.openmetrics import Spool
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.settings import Settings, SettingsError
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.cli._progress import Progress
    from chatvitals.metrics.measurements import Cell

_LATEST = 2.0**32  # what a contact's memory can hold (the year 2106); milliseconds lie beyond it


class LogLine(NamedTuple):
    """One webhook of a log."""

    received: float
    body: bytes
    headers: dict[str, str]


def run(path: Path, openmetrics: Path | None, *, every: float) -> int:
    """Replay the log `path`, print a summary and, if asked, write OpenMetrics; return the exit status.

    Args:
        path: the log, one JSON object a line; `-` is standard input.
        openmetrics: where to write all samples with timestamps, for `promtool tsdb create-blocks-from openmetrics`.
        every: seconds between two samples.

    Returns:
        0, or 2 when the log cannot be read or holds no webhook, or a setting is wrong.

    """
    try:
        settings = Settings.load({"store": "memory:", "hooks": False})
        with ExitStack() as stack:
            source = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
            size = None if str(path) == "-" else path.stat().st_size
            spool = None if openmetrics is None else stack.enter_context(Spool(openmetrics))
            replay = _Replay(settings, spool, every)
            replay.read(source, watched(stack, "replaying", size))
            if not replay.lines:
                return _refused(f"{path} holds no webhook ({replay.skipped} lines could not be read)")
            replay.finish()
    except (OSError, SettingsError) as error:
        return _refused(str(error))
    sys.stdout.write(replay.summary() + "\n")
    return 0


class _Item(msgspec.Struct):
    """A line as it is written; msgspec decodes `base64`."""

    received: float | str
    body: str | dict[str, Any] | None = None
    base64: bytes | None = None
    headers: dict[str, str] = {}


_decode = msgspec.json.Decoder(_Item).decode


def parse(text: bytes) -> LogLine:
    """Read one line of a log.

    Raises:
        ValueError: the line is no JSON object with `received` (Unix seconds or an ISO time) and a body.

    """
    item = _decode(text)
    received = datetime.fromisoformat(item.received).timestamp() if isinstance(item.received, str) else item.received
    if not 0 < received < _LATEST:
        raise ValueError("received must be a time in Unix seconds")
    if item.base64 is not None:
        body = item.base64
    elif isinstance(item.body, str):
        body = item.body.encode()
    elif item.body is not None:
        body = msgspec.json.encode(item.body)
    else:
        raise ValueError("neither body nor base64")
    return LogLine(received, body, item.headers)


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
        """Take in all lines; one that cannot be read is counted and skipped."""
        for text in source:
            progress.advance(len(text))
            if not text.strip():
                continue
            try:
                line = parse(text)
            except (ValueError, RecursionError):
                self.skipped += 1
                continue
            self._take(line)

    def finish(self) -> None:
        """Let time pass until the last turns have ended; their ends are part of the history."""
        last = self._now
        self._move(last + self._vitals.settings.unanswered_after + 2 * self._vitals.settings.settle_after)
        self._sample(self._now)

    def summary(self) -> str:
        """Return what was found, as text for a person."""
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
        latest, self._now = self._now, line.received  # a line that is out of order keeps its own time
        self._vitals.observe_webhook(line.body, line.headers)
        self._now = latest
        self._vitals._pipeline.drain()

    def _move(self, to: float) -> None:
        if self._spool is not None:
            quiet = self._now + self._vitals.settings.unanswered_after + self._every  # nothing changes after it
            while self._next_sample <= min(to, quiet):
                self._sample(self._next_sample)
                self._next_sample += self._every
            self._next_sample = max(to, self._next_sample)  # a gap in the log stays one in the history
        self._now = max(self._now, to)
        self._vitals._pipeline.sweep()

    def _sample(self, at: float) -> None:
        self._now = max(self._now, at)
        self._vitals._pipeline.sweep()
        if self._spool is not None:
            for metric in self._vitals.collector.collect():
                self._spool.add(metric, at)


def _refused(sentence: str) -> int:
    sys.stderr.write(f"chatvitals replay: {sentence}\n")
    return 2


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
    """Return the bucket in which the quantile of the waits lies."""
    counts: Counter[int] = Counter()
    for (_, _, field), value in _matching(cells, catalogue.WAIT_SECONDS.name):
        if field != SUM:
            counts[field] += int(value)
    rank = q * counts.total()
    seen = 0
    for index, bound in enumerate(catalogue.WAIT_SECONDS.buckets):
        seen += counts[index]
        if seen >= rank > 0:
            return f"≤ {bound:g} s"
    return f"> {catalogue.WAIT_SECONDS.buckets[-1]:g} s or no answer" if rank else "-"
