"""The columns of texts in a terminal."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.analysis import text_width


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("menu", 4), ("菜单", 4), ("メニュー", 8), ("قائمة", 5), ("שָׁלוֹם", 4), ("e\u0301", 1), ("🍕", 2), ("❤️", 2),
        ("👋🏽", 2), ("🇮🇹", 2), ("", 0),
    ],
)  # fmt: skip
def test_wide_characters_take_two_columns_and_marks_none(text: str, columns: int) -> None:
    assert text_width.width(text) == columns


def test_texts_are_filled_by_columns() -> None:
    assert (text_width.left("菜单", 6), text_width.right("菜单", 6), text_width.left("longer", 3)) == (
        "菜单  ", "  菜单", "longer",
    )  # fmt: skip


def test_a_cut_text_fits_and_ends_with_an_ellipsis() -> None:
    assert [text_width.cut("菜单更新", columns) for columns in (8, 7, 6)] == ["菜单更新", "菜单更…", "菜单…"]


def test_a_mark_stays_with_its_letter() -> None:
    assert text_width.cut("e\u0301e\u0301e\u0301", 2) == "e\u0301…"


def test_lines_of_wide_characters_fit() -> None:
    assert text_width.wrapped("菜单 更新 订单", 9) == ["菜单 更新", "订单"]


def test_a_text_without_spaces_is_broken() -> None:
    assert text_width.wrapped("菜单更新订单", 5, others=" ") == ["菜单", " 更新", " 订单"]


def test_a_word_may_stay_whole() -> None:
    assert text_width.wrapped("see https://bot.example/webhook", 10, "→ ", "  ", break_words=False) == [
        "→ see",
        "  https://bot.example/webhook",
    ]


def test_an_indent_without_room_ends_nothing() -> None:
    assert text_width.wrapped("菜单 ab", 3, "   ", "   ") == ["   菜单", "   ab"]


def test_a_non_breaking_space_is_no_break() -> None:
    assert text_width.wrapped("2 runs\xa0open", 7) == ["2 runs\xa0", "open"]


@given(st.text("ab c", max_size=40), st.integers(4, 20))
def test_plain_text_breaks_like_textwrap(text: str, columns: int) -> None:
    expected = textwrap.wrap(
        " ".join(text.split()), columns, initial_indent="> ", subsequent_indent="  ", break_long_words=False
    )
    assert text_width.wrapped(text, columns, "> ", "  ", break_words=False) == expected


@given(st.text("a菜 \u0301🍕", max_size=30), st.integers(4, 12))
def test_every_line_fits_and_no_character_is_lost(text: str, columns: int) -> None:
    lines = text_width.wrapped(text, columns, others="  ")
    assert all(text_width.width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
