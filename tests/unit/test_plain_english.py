"""Docstrings begin with a plain sentence, and no text holds a semicolon (CONTRIBUTING.md, Sentences)."""

import ast
import json
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "chatvitals"
PROGRAMS = (*sorted((ROOT / "grafana" / "builder").glob("*.py")), ROOT / "grafana" / "build")
EXAMPLES = tuple(sorted((ROOT / "examples").glob("*.py")))
DASHBOARDS = tuple(sorted((ROOT / "grafana" / "dashboards").glob("*.json")))
DOCUMENTS = tuple(
    sorted(
        [
            *ROOT.glob("*.md"),
            *(file for folder in ("src", "examples", "grafana", "tests") for file in (ROOT / folder).rglob("*.md")),
        ]
    )
)
CONFIGURATIONS = tuple(
    sorted(file for folder in ("grafana", "examples/deploy") for file in (ROOT / folder).rglob("*.y*ml"))
)
LONGEST_LINE = 120
MOST_WORDS = 20


class Text(NamedTuple):
    """A text that a person reads."""

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

MOST_IN_TESTS = {
    "semicolon": 0.0,
    "verb of speech": 0.2,
    "what is": 4.5,
    "what": 9.5,
    "who": 0.2,
    "whose": 2.0,
    "one as a pronoun": 2.5,
    "nobody": 2.0,
}
"""The shares of first lines of tests that may have a pattern, in percent."""
MOST_LONG_IN_TESTS = 0.2
"""The share of first lines of tests that may be too long, in percent."""


@cache
def parsed() -> dict[str, ast.Module]:
    """Return the modules of the package by their path."""
    paths = sorted(SOURCE.rglob("*.py"))
    return {f"{path.relative_to(SOURCE.parent)}": ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    """Return all nodes of each module."""
    return {path: tuple(ast.walk(tree)) for path, tree in parsed().items()}


@cache
def all_lines() -> tuple[Text, ...]:
    """Return the first line of every docstring of the package."""
    return tuple(first_lines())


def first_lines() -> Iterator[Text]:
    """Yield the first line of every docstring of the package."""
    return first_lines_of(nodes())


def first_lines_of(modules: dict[str, tuple[ast.AST, ...]]) -> Iterator[Text]:
    """Yield the first line of every docstring of modules, given by their nodes."""
    for path, inside in modules.items():
        for node in inside:
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = ast.get_docstring(node)
                if docstring:
                    name = getattr(node, "name", "the module")
                    line = getattr(node, "lineno", 1)
                    place = f"{path}:{line} ({name})"
                    yield Text(place, docstring.splitlines()[0])


def lines_of_tests() -> Iterator[Text]:
    """Yield the first line of every docstring of the tests."""
    return first_lines_of(nodes_of_tests())


@cache
def nodes_of_tests() -> dict[str, tuple[ast.AST, ...]]:
    """Return all nodes of each module of the tests."""
    paths = sorted((ROOT / "tests").rglob("*.py"))
    return {f"{path.relative_to(ROOT)}": tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8")))) for path in paths}


def is_long(text: str) -> bool:
    """Return whether a sentence of a text has more words than allowed."""
    return any(len(sentence.split()) > MOST_WORDS for sentence in re.split(r"(?<=[.?!]) ", text))


def texts() -> Iterator[Text]:
    """Yield every text of the package, of the dashboards' source and of the examples, docstrings included.

    A field of an f-string is shown as `{}`.
    """
    others = {
        f"{path.relative_to(ROOT)}": tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for path in PROGRAMS + EXAMPLES
    }
    for path, inside in {**nodes(), **others}.items():
        parts = {id(part) for node in inside if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in inside:
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str | bytes) and id(node) not in parts:
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
            else:
                continue
            yield Text(f"{path}:{node.lineno}", text)


def comments() -> Iterator[Text]:
    """Yield every comment of the dashboards' source, the examples and the configuration files."""
    for path in (*PROGRAMS, *EXAMPLES):
        with path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT:
                    yield Text(f"{path.relative_to(ROOT)}:{token.start[0]}", token.string)
    for path in CONFIGURATIONS:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            comment = re.search(r"(?:^|\s)#.*", line)
            if comment:
                yield Text(f"{path.relative_to(ROOT)}:{number}", comment[0])


def prose() -> Iterator[Text]:
    """Yield the lines of all documents, without their code, and the texts in the dashboards."""
    for path in DOCUMENTS:
        text = re.sub(
            r"```.*?```", lambda block: "\n" * block[0].count("\n"), path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        for number, line in enumerate(text.splitlines(), 1):
            yield Text(f"{path.relative_to(ROOT)}:{number}", re.sub(r"`[^`]*`", "code", line))
    for path in DASHBOARDS:
        for text in panel_texts(json.loads(path.read_text(encoding="utf-8"))):
            yield Text(f"{path.relative_to(ROOT)}", text)


def panel_texts(part: object) -> Iterator[str]:
    """Yield the titles, descriptions and texts for missing data in a dashboard's JSON."""
    if isinstance(part, list):
        for each in part:
            yield from panel_texts(each)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in {"title", "description", "noValue"} and isinstance(value, str):
                yield value
            else:
                yield from panel_texts(value)


def long_sentences(text: str) -> list[str]:
    """Return the sentences of a text with more than the allowed words. A colon ends a sentence here."""
    return [sentence for sentence in re.split(r"(?<=[.?!:]) ", text) if len(sentence.split()) > MOST_WORDS]


def has_semicolon(text: str) -> bool:
    """Return whether a semicolon parts two sentences. The parameters of a media type are no sentence."""
    return re.search(r";\s+(?!charset=|version=)[^\s]", text) is not None and not is_sql(text)


def is_sql(text: str) -> bool:
    """Return whether a text holds SQL statements."""
    return re.match(r"\s*(CREATE|ALTER) TABLE ", text) is not None


def listed(lines: list[Text]) -> str:
    """Return lines for the message of a failing test."""
    return "".join(f"\n  {line.place}: {line.text}" for line in lines)


@pytest.mark.parametrize("name", RULES)
def test_first_lines_avoid(name: str) -> None:
    """A pattern of the literary style stays rare, or does not occur at all."""
    rule = RULES[name]
    found = [line for line in all_lines() if re.search(rule.pattern, line.text, re.IGNORECASE)]
    most = int(len(all_lines()) * rule.most_percent / 100)
    assert len(found) <= most, f"{name}: {len(found)} lines, {most} are allowed. Please {rule.instead}:{listed(found)}"


def test_first_lines_of_tests_avoid() -> None:
    """A docstring of a test shows its behaviour in plain words. The shares may only fall."""
    lines = list(lines_of_tests())
    assert len(lines) > 2_000
    for name, most_percent in MOST_IN_TESTS.items():
        found = [line for line in lines if re.search(RULES[name].pattern, line.text, re.IGNORECASE)]
        most = int(len(lines) * most_percent / 100)
        instead = RULES[name].instead
        assert len(found) <= most, f"{name}: {len(found)} lines, {most} are allowed. Please {instead}:{listed(found)}"


def test_first_lines_of_tests_are_short_sentences() -> None:
    """The measures of the package hold for its tests."""
    lines = list(lines_of_tests())
    found = [line for line in lines if is_long(line.text) or not line.text.endswith((".", "?"))]
    most = int(len(lines) * MOST_LONG_IN_TESTS / 100)
    assert len(found) <= most, f"a sentence of more than {MOST_WORDS} words, or no full stop:{listed(found)}"


def test_first_lines_are_sentences_that_end_with_a_full_stop() -> None:
    """Tools show a first line alone."""
    found = [line for line in all_lines() if not line.text.endswith((".", "?"))]
    assert not found, f"no full stop at the end:{listed(found)}"


def test_first_lines_are_short() -> None:
    """Editors and `help()` show at most this many columns."""
    found = [line for line in all_lines() if len(line.text) > LONGEST_LINE]
    assert not found, f"longer than {LONGEST_LINE} characters:{listed(found)}"


def test_sentences_of_first_lines_have_at_most_twenty_words() -> None:
    """Half of the readers are not native speakers."""
    found = [line for line in all_lines() if is_long(line.text)]
    assert not found, f"a sentence of more than {MOST_WORDS} words:{listed(found)}"


def test_predicates_begin_with_return_whether() -> None:
    """A function whose result is a bool says so in Python's usual words."""
    found = [line for line in all_lines() if re.match(r"(Return|Say|Tell) if\b|Check if\b|True (if|when)\b", line.text)]
    assert not found, f"write 'Return whether':{listed(found)}"


def test_no_text_holds_a_semicolon() -> None:
    """Errors, log lines, help and docstrings say one idea in a sentence."""
    found = [text for text in texts() if has_semicolon(text.text)]
    assert not found, f"write two sentences:{listed(found)}"


def test_no_comment_of_dashboards_and_examples_holds_a_semicolon() -> None:
    """Users copy these files, and read their comments."""
    found = [comment for comment in comments() if has_semicolon(comment.text)]
    assert len(list(comments())) > 50
    assert not found, f"write two sentences:{listed(found)}"


def test_no_document_holds_a_semicolon() -> None:
    """READMEs, the changelog and the runbook say one idea in a sentence, and so does every panel."""
    found = [text for text in prose() if has_semicolon(text.text)]
    assert len(list(prose())) > 1_000
    assert not found, f"write two sentences:{listed(found)}"


def test_sentences_of_panels_have_at_most_twenty_words() -> None:
    """A description is read in a small window beside a graph, in a hurry."""
    found = [text for text in prose() if text.place.endswith(".json") and long_sentences(text.text)]
    assert not found, f"a sentence of more than {MOST_WORDS} words:{listed(found)}"


@pytest.mark.parametrize("text", ["it failed; try again", "{}; {}", "a line;\nanother line"])
def test_semicolons_are_found_in(text: str) -> None:
    """The check above can fail."""
    assert has_semicolon(text)


@pytest.mark.parametrize(
    "text", ["text/plain; charset=utf-8", ";", ";\n", "&lt;", "\nCREATE TABLE a (b);\nCREATE TABLE c (d)"]
)
def test_no_semicolons_of_sentences_are_found_in(text: str) -> None:
    """Media types, separators, entities and SQL need their semicolons."""
    assert not has_semicolon(text)
