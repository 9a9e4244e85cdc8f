"""The list of cases in `tests/safety/README.md` is complete and names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROWS = re.findall(r"^\| (\d+) \| (.*) \| (.*) \|$", (HERE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def _tests() -> set[str]:
    """Return the names of all test functions of the repository."""
    files = HERE.parent.rglob("test_*.py")
    trees = (ast.parse(file.read_text(encoding="utf-8")) for file in files)
    functions = (node for tree in trees for node in ast.walk(tree))
    return {node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


TESTS = _tests()


def test_every_case_has_one_line() -> None:
    """Comments cite the cases by number, so no number may be missing or stand twice."""
    assert [int(number) for number, _, _ in ROWS] == list(range(1, 81))


@pytest.mark.parametrize(("number", "what", "shown"), ROWS)
def test_a_case_names_tests_that_exist_or_says_none_yet(number: str, what: str, shown: str) -> None:
    """A renamed or deleted test leaves no case that looks proved."""
    names = re.findall(r"`(test_\w+)`", shown)
    assert what
    assert names or shown == "none yet", f"case {number} names no test"
    assert not set(names) - TESTS, f"case {number} names tests that do not exist"
