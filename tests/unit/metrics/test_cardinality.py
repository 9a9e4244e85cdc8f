"""Labels: the first values of each label stay. A value beyond the cap is `other` and counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.metrics import catalogue
from chatvitals.metrics.cardinality import CardinalityLimiter


def test_values_up_to_the_cap_are_admitted_and_stay_admitted() -> None:
    """The cap is on distinct values. Those that were first keep their series."""
    labels = CardinalityLimiter(2)
    assert [labels.limit("template", value) for value in ("a", "b", "c", "a", "c")] == ["a", "b", "other", "a", "other"]
    assert labels.drain_overflow() == {"template": 2}
    assert labels.drain_overflow() == {}


def test_each_label_has_its_own_cap() -> None:
    """Many templates leave room for languages."""
    labels = CardinalityLimiter(1)
    assert labels.limit("template", "a") == "a"
    assert labels.limit("language", "b") == "b"
    assert not labels.overflow


@pytest.mark.parametrize("value", ["half\ud83d", "two\nlines", "nul\0", "x" * 513, "x" * 10_000_000, "tab\t"])
def test_what_can_be_no_name_is_other(value: str) -> None:
    """No real id or template name looks like this, and some of these would break the exposition."""
    labels = CardinalityLimiter(10)
    assert labels.limit("template", value) == "other"
    assert labels.overflow["template"] == 1


@pytest.mark.parametrize("value", ["", "other"])
def test_nothing_and_other_take_no_place(value: str) -> None:
    """They are always allowed and do not count as overflow."""
    labels = CardinalityLimiter(1)
    assert labels.limit("template", value) == value
    assert labels.limit("template", "a") == "a"
    assert not labels.overflow


def test_what_the_store_has_is_admitted_even_beyond_the_cap() -> None:
    """A restart with a smaller cap does not split a series in two."""
    labels = CardinalityLimiter(1)
    sent = catalogue.TEMPLATE_MESSAGES.name
    labels.learn(
        [
            (sent, ("1", "hello", "en", "sent"), 0),
            (sent, ("2", "bye", "en", "sent"), 0),
            (sent, ("2", "other", "other", "sent"), 0),
            (catalogue.TURNS_OPEN.name, ("3",), 0),
            (catalogue.BUILD_INFO.name, ("0.1", ""), 0),
            ("chatvitals_of_a_later_version", ("4",), 0),
        ]
    )
    assert [labels.limit("template", value) for value in ("hello", "bye", "third")] == ["hello", "bye", "other"]
    assert [labels.limit(catalogue.NUMBER, value) for value in ("1", "2", "3", "4")] == ["1", "2", "3", "other"]


@given(st.lists(st.text(max_size=8)), st.integers(1, 5))
def test_there_are_never_more_values_than_the_cap_and_other(values: list[str], cap: int) -> None:
    """Whatever comes, at most `cap` values and `other` come out, and all of them can be shown."""
    labels = CardinalityLimiter(cap)
    out = {labels.limit("template", value) for value in values} - {"", "other"}
    assert len(out) <= cap
    assert all(value.isprintable() and value.encode() for value in out)
    assert all(value in values for value in out)
