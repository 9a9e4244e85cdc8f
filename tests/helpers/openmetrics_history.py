"""A simulated history as OpenMetrics, three times as fast as `chatvitals simulate` writes it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from msgspec.structs import replace

from chatvitals.exporters.text_format import TextFormat
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from chatvitals.simulator.history import History


def write(history: History, file: Path, *, job: str, names: Collection[str] = tuple(catalogue.FAMILIES)) -> None:
    """Let a history pass and write its samples.

    Args:
        history: one that has not been played.
        file: the file to write.
        job: the job that a scrape would add.
        names: the families to write.

    """
    text = TextFormat(openmetrics=True)
    target = f'job="{job}",instance="simulated"'
    heads: dict[str, list[str]] = {"up Whether the target could be scraped.\n# TYPE up gauge\n": []}
    (up,) = heads.values()
    for at, collector in history.samples():
        up.append(f"up{{{target}}} 1 {at:.3f}\n")
        snapshot = collector.snapshot()
        values = {name: found for name, found in snapshot.values.items() if name in names}
        for piece in text.render(replace(snapshot, values=values, birth=None)).decode().split("# HELP ")[1:]:
            head, body = _parted(piece, target)
            heads.setdefault(head, []).append(body.replace("\n", f" {at:.3f}\n"))
    with file.open("w", encoding="utf-8") as out:
        for head, bodies in heads.items():
            out.write(f"# HELP {head}")
            out.writelines(bodies)
        out.write("# EOF\n")


@functools.lru_cache(maxsize=256)  # most families are as they were a sample before
def _parted(piece: str, target: str) -> tuple[str, str]:
    """Return the head of a family's text, and its lines with the labels that a scrape adds."""
    lines = piece.removesuffix("# EOF\n").splitlines(keepends=True)
    of_head = 1 + sum(line.startswith("#") for line in lines)
    body = "".join(lines[of_head:])
    bare = "{" not in body
    return "".join(lines[:of_head]), body.replace(" ", f"{{{target}}} ") if bare else body.replace("{", f"{{{target},")
