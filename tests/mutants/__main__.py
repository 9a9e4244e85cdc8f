"""Put each fault into a copy of the sources and run its tests, which must fail: `python -m tests.mutants`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
_SECONDS = 120


def survives(mutant: Mutant, sources: Path) -> bool:
    """Return whether the tests of a mutant pass although the fault is there."""
    file = sources / "chatvitals" / mutant.file
    right = file.read_text(encoding="utf-8")
    assert right.count(mutant.right) == 1, f"{mutant.file} has changed: {mutant.name}"
    file.write_text(right.replace(mutant.right, mutant.wrong), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.tests, "-k", mutant.named]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(sources)},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    finally:
        file.write_text(right, encoding="utf-8")
    return done.returncode != 1  # 1: tests ran and failed; all else proves nothing


def main() -> int:
    """Try all mutants. Return how many survive."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder) / "src"
        shutil.copytree(ROOT / "src", sources, ignore=shutil.ignore_patterns("__pycache__"))
        left = 0
        for mutant in MUTANTS:
            lives = survives(mutant, sources)
            left += lives
            sys.stdout.write(f"{'SURVIVES' if lives else 'killed':<10}{mutant.name}\n")
            sys.stdout.flush()
    return left


if __name__ == "__main__":
    sys.exit(main())
