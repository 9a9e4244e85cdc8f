"""Write the generated parts of the documents: `python -m tests.helpers.readme`, with `--benchmark` too.

`--benchmark` measures all tables of tests/README.md anew, in about eight minutes; with `--million` also the table of a
million contacts, in some ten minutes more. On a busy machine there are numbers without verdicts.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

from chatvitals import settings
from chatvitals.metrics import catalogue

ROOT = Path(__file__).parents[2]
PATH = ROOT / "README.md"
COOKBOOK = ROOT / "examples/README.md"
CONTRACT = ROOT / "src/chatvitals/conversations/README.md"
TESTS = ROOT / "tests/README.md"
BENCHMARKS = {
    "sockets": ("--rounds", "7", "--seconds", "6"),
    "scrapes": ("--numbers", "10", "100"),
    "start": (),
    "webhook": (),
}
"""Options of the benchmarks that print their own part of tests/README.md, by name."""
SCALE = ("--million", "--stores", "memory", "sqlite", "redis")
_MOST_SHOWN = 8  # values of a setting that is a list


def part(text: str, name: str) -> str:
    """Return what stands between the marks of a part."""
    begin, end = _marks(name)
    return text.partition(begin)[2].partition(end)[0].strip()


def with_part(text: str, name: str, content: str) -> str:
    """Return the text with something else between the marks of a part."""
    begin, end = _marks(name)
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.partition(end)[2]}"


def snippets(text: str, language: str) -> list[str]:
    """Return the blocks of code of one language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def catalogue_part() -> str:
    """Return the table of all metrics."""
    return catalogue.markdown()


def settings_part() -> str:
    """Return the table of all settings."""
    meanings = _meanings(settings.Settings)
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, declared in settings.Settings.declared.items():
        default = "" if declared.default in {None, "", b"", ()} else f"`{_shown(declared.default)}`"
        lines.append(f"| `{name}` | {default} | {meanings[name]} |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(map(_shown, value[:_MOST_SHOWN]))
        return f"{shown}, …" if len(value) > _MOST_SHOWN else shown
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meanings(declared: type) -> dict[str, str]:
    """Return the first paragraph below each field of a class."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(declared)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, below in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
            found[field.target.id] = " ".join(text.partition("\n\n")[0].split())
    return found


def _printed_part(name: str, options: tuple[str, ...]) -> str:
    """Return the output of a benchmark, below its command and the machine.

    An exit status of 1 only says that a budget is missed.
    """
    arguments = ["-m", f"tests.benchmarks.{name}", *options]
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in {0, 1} or not done.stdout:
        raise SystemExit(f"the benchmark {name} cannot be measured here: {done.stderr.strip()}")
    machine = f"CPython {platform.python_version()}, {os.cpu_count()} cores"
    return f"From `.venv/bin/python {' '.join(arguments)}` ({machine}):\n\n{done.stdout.strip()}"


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _write(path: Path, name: str, content: str) -> None:
    path.write_text(with_part(path.read_text(), name, content))


def main() -> None:
    """Write the parts."""
    _write(CONTRACT, "catalogue", catalogue_part())
    _write(COOKBOOK, "settings", settings_part())
    if "--benchmark" in sys.argv[1:]:
        for name, options in BENCHMARKS.items():
            _write(TESTS, name, _printed_part(name, options))
    if "--million" in sys.argv[1:]:
        _write(TESTS, "scale", _printed_part("scale", SCALE))


if __name__ == "__main__":
    main()
