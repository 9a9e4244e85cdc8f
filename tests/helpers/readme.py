"""Generated parts of the README: `python -m tests.helpers.readme` writes the tables, with `--benchmark` too.

The benchmark's table is measured anew then, in about a minute; on a busy machine it says less than it could.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from chatvitals.metrics import catalogue

PATH = Path(__file__).parents[2] / "README.md"


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


def main() -> None:
    """Write the parts."""
    text = with_part(PATH.read_text(), "catalogue", catalogue_part())
    if "--benchmark" in sys.argv[1:]:
        text = with_part(text, "benchmark", _benchmark_part())
    PATH.write_text(text)


if __name__ == "__main__":
    main()
