"""The cost of a bot's start: `python -m tests.benchmarks.start` measures the import and the first webhook.

Each run is a new process. A run that imports only the dependencies takes turns with one that imports chatvitals. Their
compiled bytecode is kept in a folder, as an installed package has it, whatever `PYTHONDONTWRITEBYTECODE` says.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks.conditions import Others, missing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
IMPORT_BUDGET = 60.0
"""Milliseconds on top of the dependencies."""
FIRST_BUDGET = 2.0
"""Milliseconds that the first webhook may take longer than the hundredth."""
_DEPENDENCIES = "import msgspec, opentelemetry.context, opentelemetry.trace, prometheus_client"
_IMPORT = f"{_DEPENDENCIES}, chatvitals"
_WEBHOOKS = """
import asyncio
from tests.benchmarks import apps, traffic
subject = apps.with_chatvitals()
seconds = asyncio.run(subject.deliver(traffic.messages(0, 110, 1000, 100.0)))
subject.close()
print((seconds[0] - sorted(seconds[90:])[10]) * 1e3)
"""


class Start(NamedTuple):
    """Milliseconds, each the median of all runs."""

    dependencies: float
    added: float
    """By the import of chatvitals, the median of the differences within a round."""
    first: float
    """Of the first webhook, beyond those around the hundredth."""


def measure(rounds: int) -> Start:
    """Return the cost of the start."""
    alone: list[float] = []
    added: list[float] = []
    first: list[float] = []
    with tempfile.TemporaryDirectory(prefix="chatvitals-benchmark-") as folder:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(rounds + 1):
            base, ours = _milliseconds(_DEPENDENCIES, environ), _milliseconds(_IMPORT, environ)
            later = float(_run(_WEBHOOKS, environ))
            if turn:  # the first one writes the bytecode
                alone.append(base)
                added.append(ours - base)
                first.append(later)
    return Start(*map(statistics.median, (alone, added, first)))


def lines(found: Start, complaint: str) -> list[str]:
    """Return the sentences about the measurement, with verdicts unless there is a complaint about the machine."""
    spoken = [
        (f"import chatvitals adds {found.added:.0f} ms to the {found.dependencies:.0f} ms of its dependencies",
         found.added <= IMPORT_BUDGET, f"{IMPORT_BUDGET:g} ms"),
        (f"the first webhook takes {found.first:.1f} ms longer than the hundredth",
         found.first <= FIRST_BUDGET, f"{FIRST_BUDGET:g} ms"),
    ]  # fmt: skip
    if complaint:
        return [f"{what}." for what, _, _ in spoken] + [complaint]
    return [f"{what}. The budget of {budget} is {'met' if met else 'not met'}." for what, met, budget in spoken]


def _milliseconds(code: str, environ: Mapping[str, str]) -> float:
    began = time.perf_counter()
    _run(code, environ)
    return (time.perf_counter() - began) * 1e3


def _run(code: str, environ: Mapping[str, str]) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.start", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, metavar="N", help="how many rounds (default: 30)")
    options = parser.parse_args(arguments)
    lacking = missing(["starlette", "starlette_exporter"])
    if lacking:
        print(lacking, file=sys.stderr)  # noqa: T201 - a command prints
        return 2
    others = Others()
    found = measure(options.rounds)
    print("\n".join(lines(found, others.complaint())))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
