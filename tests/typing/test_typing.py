"""The public API is typed: two type checkers accept right code and refuse mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = [str(HERE / "accepted.py"), str(HERE / "refused.py")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["mypy", "--strict", "--no-incremental", *FILES],
        ["basedpyright", "--warnings", "--pythonpath", sys.executable, "--project", str(HERE), *FILES],
    ],
    ids=["mypy", "pyright"],
)
def test_a_checker_accepts_what_is_right_and_refuses_what_is_wrong(command: list[str]) -> None:
    """A mark that is not needed is an error too, so each refused line is refused."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=HERE.parents[1], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
