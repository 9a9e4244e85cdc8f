"""Metrics over time as one OpenMetrics file, for `promtool tsdb create-blocks-from openmetrics`."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from prometheus_client.core import Metric, Sample


class Spool:
    """Samples by family, in files until the end: OpenMetrics wants each family in one piece.

    Args:
        target: the file to write.
        labels: what each sample has besides its own, such as the `job` that Prometheus would have added.

    """

    def __init__(self, target: Path, labels: Mapping[str, str] | None = None) -> None:
        self._target = target
        self._made = not target.exists()
        target.open("a", encoding="utf-8").close()  # complain now, not after an hour; what is there stays until the end
        self._labels = dict(labels or {})
        self._folder = tempfile.TemporaryDirectory(prefix="chatvitals-")
        self._files: dict[str, IO[str]] = {}
        self._heads: dict[str, str] = {}
        self._series: dict[tuple[str, ...], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with self._target.open("w", encoding="utf-8") as out:
                for name, spooled in self._files.items():
                    out.write(self._heads[name])
                    spooled.seek(0)
                    shutil.copyfileobj(spooled, out)
                out.write("# EOF\n")
        elif self._made:
            self._target.unlink(missing_ok=True)
        for spooled in self._files.values():
            spooled.close()
        self._folder.cleanup()

    def add(self, metric: Metric, at: float) -> None:
        """Add a family's samples as of `at`."""
        if metric.name not in self._files:
            self._files[metric.name] = (Path(self._folder.name) / metric.name).open("w+", encoding="utf-8")
            self._heads[metric.name] = (
                f"# HELP {metric.name} {metric.documentation}\n# TYPE {metric.name} {metric.type}\n"
            )
        write = self._files[metric.name].write
        for sample in metric.samples:
            key = (sample.name, *sample.labels.values())  # a family's labels have one order
            series = self._series.get(key) or self._series.setdefault(key, self._head(sample))
            write(f"{series} {_text(sample.value)} {at:.3f}\n")

    def _head(self, sample: Sample) -> str:
        both = {**sample.labels, **self._labels}
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in both.items())
        return f"{sample.name}{{{labels}}}"


class Progress(Protocol):
    """Shows how far a long command has come."""

    def advance(self, amount: float) -> None:
        """Note that so much more has been done."""


class _Silent:
    def advance(self, amount: float) -> None:
        """Say nothing."""


class _Bar:
    def __init__(self, stack: ExitStack, what: str, size: float) -> None:
        from rich.progress import Progress  # noqa: PLC0415 - an extra

        self._bar = stack.enter_context(Progress(transient=True))
        self._task = self._bar.add_task(what, total=size)

    def advance(self, amount: float) -> None:
        """Move the bar."""
        self._bar.advance(self._task, amount)


def watched(stack: ExitStack, what: str, size: float | None) -> Progress:
    """Return a bar where a person watches and rich is installed."""
    if size is None or not sys.stdout.isatty():
        return _Silent()
    try:
        return _Bar(stack, what, size)
    except ModuleNotFoundError:
        return _Silent()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _text(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)
