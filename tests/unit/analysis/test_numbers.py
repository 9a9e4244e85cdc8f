"""Business numbers by id, phone number and name, as people give them to `--number`."""

from __future__ import annotations

import pytest

from chatvitals.analysis.errors import WrongNameError
from chatvitals.analysis.numbers import Number, chosen, numbers_in
from chatvitals.exporters.scrape import Sample

SHOP = Number("990005556667778", "+1 555 999-0000", "Example Shop")
CAFE = Number("990005556667779", "+49 170 1234567", "Café")
NEW = Number("990005556667780")
ALL = [SHOP, CAFE, NEW]


@pytest.mark.parametrize(
    "written",
    [
        "990005556667778", " 990005556667778 ", "15559990000", "+15559990000", "+1 (555) 999-0000", "+1.555.999.0000",
        "0015559990000", "011 1 555 999 0000", "tel:+1-555-999-0000", "\u202a+1\xa0555\u2011999\u20110000\u202c",
        "١٥٥٥٩٩٩٠٠٠٠", "(555) 999-0000", "example shop",
    ],
)  # fmt: skip
def test_a_number_is_found_in_every_usual_spelling(written: str) -> None:
    """People know phone numbers and names. Ids stand on one page of Meta's only."""
    assert chosen(ALL, written) == SHOP


@pytest.mark.parametrize("written", ["0170 1234567", "+49 (0)170 1234567", "0049 170/1234567", "CAFÉ"])
def test_a_number_is_found_without_its_country_code(written: str) -> None:
    """At home nobody writes the country code, and many write a zero for it."""
    assert chosen(ALL, written) == CAFE


@pytest.mark.parametrize("written", ["0000", "999-0000x", "1234567 8", "7780", "shop"])
def test_a_part_of_a_number_is_not_guessed(written: str) -> None:
    """Few digits may be the end of several numbers. The error lists all numbers with their ids."""
    with pytest.raises(WrongNameError) as refused:
        chosen(ALL, written)
    assert str(refused.value) == (
        f"--number: there is no number {written}. There are: 990005556667780, Café +49 170 1234567 (990005556667779), "
        "Example Shop +1 555 999-0000 (990005556667778)"
    )


def test_a_spelling_of_several_numbers_lists_them() -> None:
    """Numbers of two countries may end alike, and one business may have several numbers."""
    other = Number("990005556667781", "+44 555-999-0000", "Example Shop")
    for written in ("555 999 0000", "Example Shop"):
        with pytest.raises(
            WrongNameError, match=r"names several numbers: .*\(990005556667778\), .*\(990005556667781\)"
        ):
            chosen([*ALL, other], written)
    assert chosen([*ALL, other], "+1 555 999 0000") == SHOP


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_text_is_refused(empty: str) -> None:
    """It comes from an unset variable, and a number without a name must not be taken for it."""
    with pytest.raises(WrongNameError, match=r"--against must not be an empty text\. There are: 990005556667780, Café"):
        chosen(ALL, empty, "--against")


def test_samples_tell_the_phone_number_of_an_id() -> None:
    """The poller has asked WhatsApp for it. A number without a poll has its id only."""
    named = {"phone_number_id": SHOP.id, "display_phone_number": "15559990000", "verified_name": "Example Shop"}
    samples = [
        Sample("chatvitals_turns_opened_total", {"phone_number_id": SHOP.id}, 1.0),
        Sample("chatvitals_number_info", named, 1.0),
        Sample("chatvitals_turns_open", {"phone_number_id": SHOP.id}, 1.0),
        Sample("chatvitals_turns_open", {"phone_number_id": NEW.id}, 1.0),
        Sample("chatvitals_store_up", {}, 1.0),
    ]
    assert numbers_in(samples) == [SHOP, NEW]
