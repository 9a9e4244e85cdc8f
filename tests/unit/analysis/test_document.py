"""Documents as text, Markdown, CSV and JSON."""

from __future__ import annotations

import json
import math

from chatvitals.analysis import document
from chatvitals.analysis.document import Document, Table


def made() -> Document:
    found = Document("Title", "Verdict.", data={"share": math.nan, "waits": math.inf, "count": 3})
    table = Table(("name", "count"), title="Table")
    table.add("=HYPERLINK(1)", "1,537")
    table.add("plain | emoji", "9")
    found.section("Section", "A sentence.", table)
    return found


def test_text_aligns_a_table() -> None:
    assert document.text(made()).splitlines() == [
        "Title", "", "Section", "A sentence.", "name           count", "=HYPERLINK(1)  1,537", "plain | emoji      9",
        "", "Verdict.",
    ]  # fmt: skip


def test_markdown_keeps_a_table_whole() -> None:
    assert "| plain / emoji | 9 |" in document.markdown(made())


def test_csv_is_no_formula() -> None:
    assert document.as_csv(made()) == 'Table,count\n\'=HYPERLINK(1),"1,537"\nplain | emoji,9\n'


def test_json_has_no_infinite_numbers() -> None:
    found = json.loads(document.as_json(made()))
    assert found == {"title": "Title", "answer": "Verdict.", "share": None, "waits": None, "count": 3}
