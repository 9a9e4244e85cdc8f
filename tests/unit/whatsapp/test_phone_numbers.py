"""Spellings of a phone number are one number, and different numbers stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.whatsapp.phone_numbers import canonical


@pytest.mark.parametrize(
    "spellings",
    [
        ["5511987654321", "551187654321", "+55 (11) 98765-4321", "+55 11 8765 4321", "005511987654321"],
        ["5588912345678", "558812345678", "+55 88 91234-5678", "+55 (0)88 1234-5678", "+55 088 91234-5678"],
        ["5215512345678", "525512345678", "+52 1 55 1234 5678", "+52 55 1234 5678"],
        ["5491123456789", "541123456789", "+54 9 11 2345-6789", "+54 11 15 2345-6789", "+54 9 11 15 2345 6789"],
        ["5493514567890", "543514567890", "+54 351 15 456-7890", "+54 (0351) 15 456-7890"],
        ["5492966456789", "542966456789", "+54 2966 15 45-6789"],
        ["15550004321", "+1 (555) 000-4321", "\u202a+1\xa0555\u20110004321\u202c", "1.555.000.4321"],
    ],
)
def test_all_spellings_of_a_number_are_one(spellings: list[str]) -> None:
    assert len({canonical(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("551134567890", "5511934567890"),  # a landline in Brazil has no ninth digit
        ("5511987654321", "5511987654322"),
        ("525512345678", "535512345678"),
        ("5511987654321", "11987654321"),  # without the country code nobody knows the country
        ("15550004321", "15550004322"),
    ],
)
def test_different_numbers_stay_different(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    "number", ["", "520", "550123456789", "55", "52", "54", "5511", "1" * 40, "4915112345678", "521551234567", "54911"]
)
def test_a_number_of_another_length_or_country_keeps_its_digits(number: str) -> None:
    assert canonical(number) == number


@pytest.mark.parametrize("text", ["US.90000000000000000001", "Y2hhdA==", "٥٥١١٩", "a-b", "message\0x", "\ud800", "+"])
def test_a_text_that_is_no_number_is_unchanged(text: str) -> None:
    assert canonical(text) == text


@given(st.one_of(st.text(), st.from_regex(r"\+?(55|52|54)?[0-9 ()-]{0,16}", fullmatch=True)))
def test_the_one_form_is_its_own_form(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)
