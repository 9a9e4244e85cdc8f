"""Every docstring begins with a plain sentence (CONTRIBUTING.md, Sentences)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "chatvitals"
LONGEST_LINE = 120
MOST_WORDS = 20


class FirstLine(NamedTuple):
    """The first line of a docstring."""

    place: str
    text: str


class Rule(NamedTuple):
    """A pattern that a first line should not have."""

    pattern: str
    most_percent: float
    """The share of first lines that may have it."""
    instead: str


RULES = {
    "semicolon": Rule(r";", 0.0, "write two sentences, or drop the second idea"),
    "verb of speech": Rule(r"^(say|tell|hear|speak)s?\b|\b(say|tell)s? (whether|of)\b", 0.0, "write 'Return whether'"),
    "what is": Rule(r"\bwhat (is|was|are|were|has|had|the|a|an|it|there|they)\b", 0.0, "use a noun"),
    "what": Rule(r"\bwhat(ever)?\b", 0.8, "use a noun"),
    "who": Rule(r"\b(who|whom|whoever)\b", 0.4, "use a noun"),
    "whose": Rule(r"\bwhose\b", 2.0, "write 'with' or 'of'"),
    "one as a pronoun": Rule(
        r"\b(ones|the one|that one|another one|each one|no one|every one|a new one|the same one|which one|one that)\b"
        r"|;\s*one\b",
        0.0,
        "repeat the noun",
    ),
    "nobody": Rule(r"\b(nobody|somebody|anybody|who knows)\b", 0.2, "name the person or the program"),
}


def first_lines() -> Iterator[FirstLine]:
    """Yield the first line of every docstring of the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node)
                if docstring:
                    name = getattr(node, "name", "the module")
                    line = getattr(node, "lineno", 1)
                    place = f"{path.relative_to(SOURCE.parent)}:{line} ({name})"
                    yield FirstLine(place, docstring.splitlines()[0])


ALL_LINES = tuple(first_lines())


def listed(lines: list[FirstLine]) -> str:
    """Return lines for the message of a failing test."""
    return "".join(f"\n  {line.place}: {line.text}" for line in lines)


@pytest.mark.parametrize("name", RULES)
def test_first_lines_avoid(name: str) -> None:
    """A pattern of the literary style stays rare, or does not occur at all."""
    rule = RULES[name]
    found = [line for line in ALL_LINES if re.search(rule.pattern, line.text, re.IGNORECASE)]
    most = int(len(ALL_LINES) * rule.most_percent / 100)
    assert len(found) <= most, f"{name}: {len(found)} lines, {most} are allowed. Please {rule.instead}:{listed(found)}"


def test_first_lines_are_sentences_that_end_with_a_full_stop() -> None:
    """Tools show a first line alone."""
    found = [line for line in ALL_LINES if not line.text.endswith((".", "?"))]
    assert not found, f"no full stop at the end:{listed(found)}"


def test_first_lines_are_short() -> None:
    """Editors and `help()` show at most this many columns."""
    found = [line for line in ALL_LINES if len(line.text) > LONGEST_LINE]
    assert not found, f"longer than {LONGEST_LINE} characters:{listed(found)}"


def test_sentences_of_first_lines_have_at_most_twenty_words() -> None:
    """Half of the readers are not native speakers."""
    found = [
        line for line in ALL_LINES if any(len(s.split()) > MOST_WORDS for s in re.split(r"(?<=[.?!]) ", line.text))
    ]
    assert not found, f"a sentence of more than {MOST_WORDS} words:{listed(found)}"


def test_predicates_begin_with_return_whether() -> None:
    """A function whose result is a bool says so in Python's usual words."""
    found = [line for line in ALL_LINES if re.match(r"(Return|Say|Tell) if\b|Check if\b|True (if|when)\b", line.text)]
    assert not found, f"write 'Return whether':{listed(found)}"
