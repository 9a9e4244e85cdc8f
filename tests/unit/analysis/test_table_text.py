"""Tables as lines of a terminal."""

from __future__ import annotations

import pytest

from chatvitals.analysis import table_text, text_width
from chatvitals.analysis.document import Table

WIDE = Table(("template", "quality", "read with version 1.4.0", "failed"), text_columns=frozenset({1}))
WIDE.add("order_update (en)", "GREEN (RED 2026-11-12 to 2026-11-15)", "81.2 %", "123 (0.9 %)")
WIDE.add("菜单更新 (zh_CN)", "not known", "4.0 %", "0 (0.0 %)")


def test_a_table_with_room_keeps_its_lines() -> None:
    table = Table(("name", "count"), [("菜单", "1"), ("menu", "1,537")])
    assert table_text.lines(table, 80) == ["name  count", "菜单      1", "menu  1,537"]


def test_a_wide_table_breaks_headings_first() -> None:
    assert table_text.lines(WIDE, 83) == [
        "template           quality                                   read with       failed",
        "                                                         version 1.4.0",
        "order_update (en)  GREEN (RED 2026-11-12 to 2026-11-15)         81.2 %  123 (0.9 %)",
        "菜单更新 (zh_CN)   not known                                     4.0 %    0 (0.0 %)",
    ]


def test_a_wider_table_breaks_its_texts_and_no_number() -> None:
    assert table_text.lines(WIDE, 60) == [
        "template           quality                 read       failed",
        "                                           with",
        "                                        version",
        "                                          1.4.0",
        "order_update (en)  GREEN (RED            81.2 %  123 (0.9 %)",
        "                   2026-11-12 to",
        "                   2026-11-15)",
        "菜单更新 (zh_CN)   not known              4.0 %    0 (0.0 %)",
    ]


def test_a_table_that_cannot_fit_becomes_blocks() -> None:
    assert table_text.lines(WIDE, 40) == [
        "order_update (en)",
        "  quality                  GREEN (RED",
        "                           2026-11-12 to",
        "                           2026-11-15)",
        "  read with version 1.4.0  81.2 %",
        "  failed                   123 (0.9 %)",
        "菜单更新 (zh_CN)",
        "  quality                  not known",
        "  read with version 1.4.0  4.0 %",
        "  failed                   0 (0.0 %)",
    ]


def test_an_indented_name_keeps_its_indent_on_each_line() -> None:
    table = Table(("", "a side"), [("  half of the customers", "5 s")])
    assert table_text.lines(table, 20) == [
        "                   a",
        "                side",
        "  half of the    5 s",
        "    customers",
    ]


def test_a_number_breaks_between_its_value_and_its_interval() -> None:
    table = Table(("", "difference (95 %)", "usual range"), [("read", "-4.3 (-7.8 … -0.8)", "85.9 % to 89.6 %")])
    assert table_text.lines(table, 32) == [
        "         difference  usual range",
        "             (95 %)",
        "read           -4.3    85.9 % to",
        "      (-7.8 … -0.8)       89.6 %",
    ]


@pytest.mark.parametrize("columns", range(30, 120))
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    assert all(text_width.width(line) <= columns for line in table_text.lines(WIDE, columns))


def test_a_table_without_rows_shows_its_headings() -> None:
    assert table_text.lines(Table(("name", "count")), 80) == ["name  count"]
