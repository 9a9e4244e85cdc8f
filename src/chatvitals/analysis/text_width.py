"""The columns that a text takes in a terminal. A Chinese character or an emoji takes two, a combining mark none."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_EMOJI_FORM: Final = "\ufe0f"  # shows the character before it as an emoji, which is two columns wide
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)  # they colour the emoji before them
_BREAKS: Final = re.compile(r"[ \t\n\r\f\v]+")  # a non-breaking space is no break


def width(text: str) -> int:
    """Return the number of columns of a text.

    width("菜单")  # 4

    """
    return len(text) if text.isascii() else sum(size for _, size in _characters(text))


def left(text: str, columns: int) -> str:
    """Return a text with spaces behind it, so that it takes at least `columns` columns."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Return a text with spaces before it, so that it takes at least `columns` columns."""
    return " " * (columns - width(text)) + text


def cut(text: str, columns: int) -> str:
    """Return a text of at most `columns` columns. A longer text ends with an ellipsis."""
    return text if width(text) <= columns else f"{_head(text, columns - 1)}…"


def wrapped(text: str, columns: int, first: str = "", others: str = "", *, break_words: bool = True) -> list[str]:
    """Return a text as lines of at most `columns` columns, which end at spaces.

    Args:
        text: the text. Line breaks in it are spaces.
        columns: columns of a line, the indents included.
        first: text before the first line.
        others: text before all other lines.
        break_words: whether a word that is longer than a line is broken. Otherwise its line is longer.

    Returns:
        The lines, or an empty list for an empty text.

    """
    lines: list[str] = []
    line, is_empty = first, True
    for whole in filter(None, _BREAKS.split(text)):
        word = whole
        while True:
            room = columns - width(line) - (not is_empty)
            if width(word) <= room or (is_empty and not break_words):
                line += word if is_empty else f" {word}"
                is_empty = False
                break
            if break_words and room > 1 and (is_empty or width(word) > columns - width(others)):
                part = _head(word, room)
                line, word = (line + part if is_empty else f"{line} {part}"), word[len(part) :]
            elif is_empty:  # the indent alone leaves no room for a character
                line += word
                is_empty = False
                break
            lines.append(line)
            line, is_empty = others, True
    return lines if is_empty else [*lines, line]


def _head(text: str, columns: int) -> str:
    """Return the first characters that fit into `columns` columns, with the marks that belong to them."""
    taken, end = 0, 0
    for character, size in _characters(text):
        taken += size
        if taken > columns:
            break
        end += len(character)
    return text[:end]


def _characters(text: str) -> list[tuple[str, int]]:
    """Return each character with its columns."""
    found: list[tuple[str, int]] = []
    for character in text:
        before = found[-1][1] if found else 0
        if character == _EMOJI_FORM and before == 1:
            size = 1
        elif unicodedata.category(character) in {"Mn", "Me", "Cf"} or (before == 2 and ord(character) in _SKIN_TONES):
            size = 0
        else:
            size = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        found.append((character, size))
    return found
