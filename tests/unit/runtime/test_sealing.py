"""Only the bot's own processes can read contacts in the messages of a queue."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.runtime import sealing

KEY, OTHER = b"k" * 32, b"o" * 32


@given(st.binary(max_size=300))
def test_what_was_sealed_comes_out_with_the_same_key_only(content: bytes) -> None:
    """Another store's process learns nothing, and knows that it does not know."""
    text = sealing.seal(KEY, content)
    assert sealing.unseal(KEY, text) == content
    assert sealing.unseal(OTHER, text) is None


@given(st.text(max_size=80))
def test_anything_else_is_none(text: str) -> None:
    """A header that was never ours raises nothing."""
    assert sealing.unseal(KEY, text) is None


def test_an_altered_text_is_none() -> None:
    """No character can be changed."""
    text = sealing.seal(KEY, b"990005556667778 15550001111")
    for position in range(0, len(text), 5):
        changed = "A" if text[position] != "A" else "B"
        assert sealing.unseal(KEY, text[:position] + changed + text[position + 1 :]) is None


def test_the_same_content_never_looks_the_same() -> None:
    """Two tasks about one person look unrelated."""
    assert sealing.seal(KEY, b"x" * 40)[:30] != sealing.seal(KEY, b"x" * 40)[:30]
