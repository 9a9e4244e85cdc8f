"""A table as lines of a terminal. A wide table gets narrower columns, or one block for each row."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from chatvitals.analysis import text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chatvitals.analysis.document import Table

_GAP: Final = "  "
_STAY: Final = "\xa0"  # a non-breaking space


def lines(table: Table, columns: int) -> list[str]:
    """Return a table as lines of at most `columns` columns, unless a word is longer.

    A table that is too wide breaks its headings, then its texts, then its numbers between a value and its interval.
    Where this is not enough, each row becomes a block with a line for each heading.
    """
    texts = {0, *table.text_columns}
    numbers = set(range(len(table.columns))) - texts
    rows = [tuple(_kept(cell) if place in numbers else cell for place, cell in enumerate(row)) for row in table.rows]
    headings = tuple(heading.replace(" %", f"{_STAY}%") for heading in table.columns)
    whole = _widest(rows or [headings])
    by_word = _widest(map(_words, rows or [headings]))
    by_heading = _widest([_words(headings)])
    sizes = _widest([headings, *rows])
    for places, least in ((numbers, whole), (texts, by_word), (numbers, by_word)):
        _narrow(sizes, list(map(max, least, by_heading)), places, columns)
    if _total(sizes) > columns:
        return [line for row in table.rows for line in _block(table.columns, row, columns)]
    return [line for row in (headings, *rows) for line in _row(row, sizes, texts)]


def _kept(number: str) -> str:
    """Return a cell of a number that breaks before a parenthesis and after `to` only."""
    return re.sub(r"(?<! to) (?!\()", _STAY, number)


def _words(row: Sequence[str]) -> list[str]:
    """Return the widest word of each cell, with its indent."""
    return [
        max(_broken(cell, 1, is_first=not place), key=text_width.width, default="") for place, cell in enumerate(row)
    ]


def _widest(rows: Iterable[Sequence[str]]) -> list[int]:
    """Return the widest cell of each column."""
    return [max(map(text_width.width, cells)) for cells in zip(*rows, strict=True)]


def _narrow(sizes: list[int], least: Sequence[int], places: set[int], columns: int) -> None:
    """Make columns narrower, the widest first, until the table fits or all have their least size."""
    while _total(sizes) > columns:
        wide = [place for place in places if sizes[place] > least[place]]
        if not wide:
            break
        sizes[max(wide, key=sizes.__getitem__)] -= 1


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(_GAP) * (len(sizes) - 1)


def _row(row: Sequence[str], sizes: Sequence[int], texts: set[int]) -> list[str]:
    cells = [_broken(cell, size, is_first=not place) for place, (cell, size) in enumerate(zip(row, sizes, strict=True))]
    return [
        _GAP.join(
            text_width.left(part, sizes[place]) if place in texts else text_width.right(part, sizes[place])
            for place, part in enumerate(parts)
        )
        .rstrip()
        .replace(_STAY, " ")
        for parts in zip_longest(*cells, fillvalue="")
    ]


def _broken(cell: str, size: int, *, is_first: bool) -> list[str]:
    """Return the lines of a cell. In the first column, an indent tells a further line from the next row."""
    if text_width.width(cell) <= size:
        return [cell]
    indent = cell[: len(cell) - len(cell.lstrip())]
    return text_width.wrapped(cell, size, indent, indent + _GAP if is_first else indent, break_words=False)


def _block(headings: Sequence[str], row: Sequence[str], columns: int) -> list[str]:
    """Return a row as a heading and a line for each further cell that is not empty."""
    size = max(map(text_width.width, headings[1:]))
    made = text_width.wrapped(row[0], columns, others=_GAP) or [""]
    for heading, cell in zip(headings[1:], row[1:], strict=True):
        if cell:
            head = f"{_GAP}{text_width.left(heading, size)}{_GAP}"
            made += text_width.wrapped(cell, columns, head, " " * text_width.width(head))
    return made
