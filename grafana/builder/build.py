"""Write every generated file of `grafana/`, or name the files that differ.

Dashboards are made here, with a library that users need not have. The package makes all other files.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from builder import dashboards, rule_tests
from chatvitals.monitoring import bundle
from chatvitals.monitoring.slo import Objective

if TYPE_CHECKING:
    from pathlib import Path


def main(folder: Path, arguments: list[str]) -> int:
    """Write the files below `folder`. Return 1 where `--check` finds a file that differs."""
    parser = argparse.ArgumentParser(
        prog="grafana/build", description="Make dashboards, rules, their tests and the runbook."
    )
    parser.add_argument("--check", action="store_true", help="change nothing, and fail where a file differs")
    check = parser.parse_args(arguments).check
    made = files()
    differing = [name for name, text in made.items() if _differs(folder / name, text)]
    for name in differing:
        if check:
            sys.stderr.write(f"{name} is not what grafana/build makes: run it\n")
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(made[name], encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 1 if check and differing else 0


def files() -> dict[str, str]:
    """Return the text of each generated file by its name."""
    return {**bundle.rendered(Objective()), **rule_tests.files(), **dashboards.files()}


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text(encoding="utf-8") != text
