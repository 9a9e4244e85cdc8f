"""Which texts can be closing remarks (conversations/README.md 4)."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.whatsapp.closing_remarks import BY_DEFAULT, DEFAULT, MAX_LENGTH, ClosingRemarks, normalized


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "Ok, THANKS! 👍",
        "🙏🏽",
        "👍",
        "❤️",
        "",
        "  ",
        "...",
        "d\u2019accord !",
        "\uff2f\uff2b",
        "شكرا!",
        "Спасибо )",
        "ok\nthanks",
    ],
)
def test_thanks_in_any_dress_is_one(text: str) -> None:
    """Case, punctuation, emoji, white space and width make no difference."""
    assert BY_DEFAULT.matches(text)


@pytest.mark.parametrize(
    "text", ["ok?", "ok\uff1f", "تمام؟", "¿vale", "thanks for nothing", "ok 2", "thanks" + "!" * 19]
)
def test_a_question_a_longer_text_and_other_words_are_none(text: str) -> None:
    """A question mark of any script asks, and 25 characters are too many."""
    assert not BY_DEFAULT.matches(text)


def test_the_length_counts_characters() -> None:
    """24 characters are allowed, however many bytes they take."""
    assert BY_DEFAULT.matches("👍" * MAX_LENGTH)
    assert BY_DEFAULT.match_json(json.dumps("👍" * MAX_LENGTH).encode())
    assert not BY_DEFAULT.matches("👍" * (MAX_LENGTH + 1))


def test_every_question_mark_of_unicode_asks() -> None:
    """The table is complete for the Unicode version of this Python."""
    marks = [c for c in map(chr, range(0x20000)) if unicodedata.name(c, "").endswith("QUESTION MARK")]
    letters = [mark for mark in marks if unicodedata.category(mark).startswith("P")]
    assert len(letters) > 15
    assert not any(BY_DEFAULT.matches(f"ok{mark}") for mark in letters)


def test_the_phrases_are_a_setting() -> None:
    """They are compared as texts are, and without any phrase there is no rule."""
    assert ClosingRemarks(["Cheers, mate"]).matches("cheers MATE 🍻")
    assert not ClosingRemarks(["Cheers, mate"]).matches("ok thanks")
    assert ClosingRemarks(["Cheers, mate"]).matches("👍")
    assert not ClosingRemarks([]).matches("👍")


def test_the_default_has_no_phrase_that_could_never_match() -> None:
    """Each phrase is short enough, and no two of them say the same."""
    assert all(BY_DEFAULT.matches(phrase) for phrase in DEFAULT)
    assert len(set(DEFAULT)) == len(DEFAULT)


@pytest.mark.parametrize("raw", [b"", b"5", b'"\xff"', b'{"a": 1}', b'"ok', b'"' + b"x" * 5000 + b'"'])
def test_what_is_no_readable_text_is_none(raw: bytes) -> None:
    """A body of another type or with broken bytes never raises."""
    assert not BY_DEFAULT.match_json(raw)


@given(st.text(st.characters(max_codepoint=127)))
def test_a_text_of_ascii_is_normalised_as_any_other_text(text: str) -> None:
    """It has a quicker way, which a further letter outside ASCII takes away."""
    assert normalized(f"{text} \xe9") == f"{normalized(text)} \xe9".strip()
