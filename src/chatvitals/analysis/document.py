"""The result of an analysis as sentences and tables, written as text, Markdown, CSV or JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from chatvitals.analysis import table_text, text_width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Block: TypeAlias = "str | Table"


@dataclass(slots=True)
class Table:
    """A table of ready texts.

    Args:
        columns: the headings. The first column is text, the others are numbers.
        rows: the cells, row by row.
        title: the heading of the table.
        text_columns: further columns that are text.

    """

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    title: str = ""
    text_columns: frozenset[int] = frozenset()

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(cells)


@dataclass(slots=True)
class Section:
    """A part of a document."""

    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(slots=True)
class Document:
    """The whole output of one command.

    Args:
        title: the first line.
        verdict: the answer in one or two sentences.
        sections: the evidence.
        data: the same results as numbers, for `--json`.

    """

    title: str
    verdict: str = ""
    sections: list[Section] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def section(self, title: str, *blocks: Block) -> Section:
        """Add a section and return it."""
        made = Section(title, list(blocks))
        self.sections.append(made)
        return made

    @property
    def tables(self) -> Iterator[Table]:
        """All tables."""
        for section in self.sections:
            yield from (block for block in section.blocks if isinstance(block, Table))


def text(document: Document, width: int = 100) -> str:
    """Return a document for a terminal."""
    lines = _wrapped(document.title, width)
    for section in document.sections:
        lines += ["", *_wrapped(section.title, width)] if section.title else [""]
        for block in section.blocks:
            lines += table_text.lines(block, width) if isinstance(block, Table) else _wrapped(block, width, "  ")
    if document.verdict:
        lines += ["", *_wrapped(document.verdict, width)]
    return "\n".join(lines)


def markdown(document: Document) -> str:
    """Return a document as Markdown for a chat or an issue."""
    lines = [f"**{document.title}**"]
    if document.verdict:
        lines += ["", document.verdict]
    for section in document.sections:
        lines += ["", f"**{section.title}**"] if section.title else [""]
        for block in section.blocks:
            if isinstance(block, Table):
                lines += ["", _row(block.columns), _row(["---"] * len(block.columns)), *map(_row, block.rows), ""]
            else:
                lines.append(f"- {block}")
    return "\n".join(lines)


def as_csv(document: Document) -> str:
    """Return all tables as CSV, with an empty line between two."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for index, table in enumerate(document.tables):
        if index:
            out.write("\n")
        writer.writerow([_safe(table.title or table.columns[0]), *table.columns[1:]])
        writer.writerows([_safe(cell) for cell in row] for row in table.rows)
    return out.getvalue()


def as_json(document: Document) -> str:
    """Return title, answer and numbers as JSON. A number that is not finite becomes null."""
    found = {"title": document.title, "answer": document.verdict, **document.data}
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()


def _safe(cell: str) -> str:
    """Prefix a cell that a spreadsheet would take for a formula."""
    return f"'{cell}" if cell[:1] in {"=", "@"} else cell


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _wrapped(sentence: str, width: int, indent: str = "") -> list[str]:
    return text_width.wrapped(sentence, width, others=indent) or [""]
