"""The sources name documents and sections that exist, and links within the repository lead somewhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (ROOT, ROOT / "src/chatvitals")
FOLDERS = ("src", "tests", "examples", "grafana", ".ci")
KINDS = {".py", ".toml", ".yml", ".yaml", ".md", ""}
TEXTS = {
    file: file.read_text(encoding="utf-8")
    for file in sorted([*ROOT.glob("*.*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))])
    if file.is_file() and file.suffix in KINDS and file.name != ".coverage" and "__pycache__" not in file.parts
}
DOCUMENTS = [file for file in TEXTS if file.suffix == ".md"]
NAMED = re.compile(r"(?<![\w/.:-])(?:[\w.-]+/)*[\w-]+\.md\b")
CITED = re.compile(r"((?:[\w-]+/)*README\.md) (\d+(?:\.\d+)?(?:(?:, | and | to )\d+(?:\.\d+)?)*)")
LINKED = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
# The README also stands on a package index, where only whole addresses lead somewhere.
HOME = re.compile(
    r"^https://(?:github\.com/chatvitals/chatvitals/(?:blob|tree)|raw\.githubusercontent\.com/chatvitals/chatvitals)/main/"
)


def _found(name: str, file: Path) -> Path | None:
    """Return the document that a file means: by its path in the repository or the package, or beside the file."""
    return next((room / name for room in (*ROOMS, file.parent) if (room / name).is_file()), None)


def _has_section(text: str, number: str) -> bool:
    """Return whether a document has a heading, a numbered paragraph or a row of a table with a number."""
    at = re.escape(number)
    return re.search(rf"^(?:#+ {at}\.? |{at}\. |\| {at} \|)", text, re.MULTILINE) is not None


def _anchors(text: str) -> set[str]:
    """Return the anchors that a forge makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_that_a_file_names_exists() -> None:
    """A comment leads its reader to a file of the repository."""
    assert TEXTS
    named = ((file, name) for file, text in TEXTS.items() for name in NAMED.findall(text))
    missing = {f"{file.relative_to(ROOT)} names {name}" for file, name in named if _found(name, file) is None}
    assert missing == set()


def test_every_section_that_a_file_cites_exists() -> None:
    """`conversations/README.md 4` leads to a heading, a paragraph or a row with that number."""
    missing = set()
    for file, text in TEXTS.items():
        for name, numbers in CITED.findall(text):
            document = _found(name, file)
            cited = re.findall(r"[\d.]+", numbers)
            if document is None or not all(_has_section(TEXTS[document], number) for number in cited):
                missing.add(f"{file.relative_to(ROOT)} cites {name} {numbers}")
    assert missing == set()


def test_every_link_within_the_repository_leads_somewhere() -> None:
    """A link names a file or folder beside its document, and a heading that is there."""
    broken = set()
    for document in DOCUMENTS:
        for link in map("".join, LINKED.findall(TEXTS[document])):
            path, _, anchor = HOME.sub("", link).partition("#")
            target = ((ROOT if HOME.match(link) else document.parent) / path).resolve() if path else document
            if "://" not in path and (not target.exists() or (anchor and anchor not in _anchors(TEXTS[target]))):
                broken.add(f"{document.relative_to(ROOT)} links to {link}")
    assert broken == set()


def test_the_architecture_names_the_layers_that_the_import_rules_check() -> None:
    """The table of src/chatvitals/README.md has the packages of pyproject.toml, in the same order."""
    contracts = tomllib.loads(TEXTS[ROOT / "pyproject.toml"])["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    table = TEXTS[ROOT / "src/chatvitals/README.md"].partition("## Layers")[2].partition("\n## ")[0]
    rows = [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert [name for row in rows for name in row] == [name for layer in layers for name in layer.split(" | ")]
