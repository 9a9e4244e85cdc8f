"""Meta's fields stand in one list, and every other list of them is a part of it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import chatvitals
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES = Path(chatvitals.__file__).parent
UNMISTAKABLE = {name for name in enums.KNOWN_FIELDS if "_" in name} - {"message_echoes", "user_preferences"}
"""Names of fields that stand for nothing else; the others are also keys of a value."""


def lists(path: Path) -> Iterator[set[str]]:
    """Give the words of each collection and of each text that a module holds, except its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield set(node.value.split())
        elif isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            items = [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts
            yield {item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)}


def test_there_is_no_second_list_of_fields() -> None:
    modules = [path for path in SOURCES.rglob("*.py") if path != SOURCES / "whatsapp" / "enums.py"]
    assert len(modules) > 100
    naming = [path for path in modules if len(set(re.findall(r"\w+", path.read_text())) & UNMISTAKABLE) > 1]
    second = [(path.name, words) for path in naming for words in lists(path) if len(words & UNMISTAKABLE) > 1]
    assert second == []


def test_the_search_finds_a_list_in_every_form(tmp_path: Path) -> None:
    one, other = sorted(UNMISTAKABLE)[:2]
    module = tmp_path / "module.py"
    for form in (f"x = ['{one}', '{other}']", f"x = '{one} {other}'.split()", f"x = {{'{one}': 1, '{other}': 2}}"):
        module.write_text(form, encoding="utf-8")
        assert any(len(words & UNMISTAKABLE) == 2 for words in lists(module)), form


def test_every_part_of_the_list_is_known() -> None:
    singles = {enums.MESSAGE_FIELD, enums.PREFERENCE_FIELD, enums.STANDBY_FIELD}
    parts = singles | enums.ECHO_FIELDS | enums.PRIVATE_FIELDS | enums.BUSINESS_FIELDS | set(enums.WANTED_FIELDS)
    assert parts <= enums.KNOWN_FIELDS
    assert not enums.PRIVATE_FIELDS & (singles | enums.ECHO_FIELDS | enums.BUSINESS_FIELDS)
