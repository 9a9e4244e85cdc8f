"""Write the generated parts of the documents: `python -m tests.helpers.readme`, with `--benchmark` too.

`--benchmark` measures the benchmark's table anew, in about a minute. On a busy machine its ratios are less precise.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from chatvitals.metrics import catalogue

ROOT = Path(__file__).parents[2]
PATH = ROOT / "README.md"
CONTRACT = ROOT / "src/chatvitals/conversations/README.md"


def part(text: str, name: str) -> str:
    """Return what stands between the marks of a part."""
    begin, end = _marks(name)
    return text.partition(begin)[2].partition(end)[0].strip()


def with_part(text: str, name: str, content: str) -> str:
    """Return the text with something else between the marks of a part."""
    begin, end = _marks(name)
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.partition(end)[2]}"


def catalogue_part() -> str:
    """Return the table of all metrics."""
    return catalogue.markdown()


def _benchmark_part() -> str:
    from tests.benchmarks.webhook import Scale, markdown, measure  # noqa: PLC0415 - it needs more than the tests do

    return (
        "What it costs, against the budgets it was given, from `.venv/bin/python -m tests.benchmarks` (one run, "
        f"interleaved with the bare app; CPython {platform.python_version()}, 2 shared cores):\n\n"
        f"{markdown(list(measure(Scale())))}"
    )


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _write(path: Path, name: str, content: str) -> None:
    path.write_text(with_part(path.read_text(), name, content))


def main() -> None:
    """Write the parts."""
    _write(CONTRACT, "catalogue", catalogue_part())
    if "--benchmark" in sys.argv[1:]:
        _write(PATH, "benchmark", _benchmark_part())


if __name__ == "__main__":
    main()
