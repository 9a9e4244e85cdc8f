"""Metrics over time as one OpenMetrics file, for `promtool tsdb create-blocks-from openmetrics`.

A file whose name ends in `.gz` is compressed, and so are the temporary files: a month then needs 3 % of the room.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from chatvitals.exporters.text_format import escaped, number_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.core import Metric, Sample


class Spool:
    """A writer that collects samples by family in temporary files, since OpenMetrics wants each family in one piece.

    Args:
        target: the file to write. It is compressed if its name ends in `.gz`.
        labels: further labels of each sample, such as the `job` that Prometheus would have added.

    """

    def __init__(self, target: Path, labels: Mapping[str, str] | None = None) -> None:
        self._target = target
        self._packs = target.suffix == ".gz"
        self._made = not target.exists()
        target.open("a", encoding="utf-8").close()  # fail now, not after an hour; the old content stays until the end
        self._labels = dict(labels or {})
        self._folder = tempfile.TemporaryDirectory(prefix="chatvitals-")
        self._files: dict[str, IO[str]] = {}
        self._heads: dict[str, str] = {}
        self._series: dict[tuple[str, ...], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            with self._target.open("wb") as out:
                for name, spooled in self._files.items():
                    spooled.close()
                    out.write(self._packed(self._heads[name]))
                    with self._place(name).open("rb") as read:
                        shutil.copyfileobj(read, out)  # compressed pieces one after the other are one compressed file
                out.write(self._packed("# EOF\n"))
        elif self._made:
            self._target.unlink(missing_ok=True)
        for spooled in self._files.values():
            spooled.close()
        self._folder.cleanup()

    def add(self, metric: Metric, at: float) -> None:
        """Add a family's samples as of `at`."""
        if metric.name not in self._files:
            self._files[metric.name] = self._opened(metric.name)
            self._heads[metric.name] = (
                f"# HELP {metric.name} {metric.documentation}\n# TYPE {metric.name} {metric.type}\n"
            )
        write = self._files[metric.name].write
        for sample in metric.samples:
            key = (sample.name, *sample.labels.values())  # a family's labels have one order
            series = self._series.get(key) or self._series.setdefault(key, self._head(sample))
            write(f"{series} {number_text(sample.value)} {at:.3f}\n")

    def _place(self, name: str) -> Path:
        return Path(self._folder.name) / name

    def _opened(self, name: str) -> IO[str]:
        if not self._packs:
            return self._place(name).open("w", encoding="utf-8")
        return gzip.open(self._place(name), "wt", compresslevel=1, encoding="utf-8")

    def _packed(self, text: str) -> bytes:
        return gzip.compress(text.encode()) if self._packs else text.encode()

    def _head(self, sample: Sample) -> str:
        both = {**sample.labels, **self._labels}
        labels = ",".join(f'{name}="{escaped(value)}"' for name, value in both.items())
        return f"{sample.name}{{{labels}}}"
