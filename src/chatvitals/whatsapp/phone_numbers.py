"""One canonical form for all spellings of a phone number.

Three countries write their mobile numbers in two ways. WhatsApp, its API and address books choose differently.
Both spellings stand for one person (conversations/README.md 1).
"""

from __future__ import annotations

from typing import Final

_BRAZIL: Final = "55"
_MEXICO: Final = "52"
_ARGENTINA: Final = "54"
_LANDLINE_STARTS: Final = frozenset("2345")  # the first digit of a Brazilian landline, after its area code
_BUENOS_AIRES: Final = "11"
_AREAS_OF_THREE: Final = frozenset(
    "220 221 223 230 236 237 249 260 261 263 264 266 280 291 294 297 298 299 336 341 342 343 345 348 351 353 358 362 "
    "364 370 376 379 380 381 383 385 387 388".split()
)
"""Argentine area codes of three digits. All others but Buenos Aires have four."""

# Spaces, brackets and dashes of every kind, and the invisible marks that come along when a number is copied.
_PUNCTUATION: Final = dict.fromkeys(
    (
        *b"+-()[]./ \t\r\n\xa0\xad",
        *range(0x2000, 0x2016),  # spaces, joiners, direction marks, hyphens and dashes
        *range(0x2028, 0x2030),
        *range(0x2060, 0x206A),
        0x2212,  # the minus sign
        0xFEFF,
    )
)


def canonical(wa_id: str) -> str:
    """Return the canonical form of a phone number, which consists of digits alone.

    Mobile numbers of Brazil have their ninth digit in this form. Numbers of Mexico have no `1`, and numbers of
    Argentina have no `9` and no `15`.

    Args:
        wa_id: a phone number in any spelling, with its country code.

    Returns:
        The digits of the number. A text that is not a number comes back unchanged.

    Example:
        >>> canonical("+55 88 91234-5678") == canonical("558812345678")
        True

    """
    number = wa_id
    if not _is_number(number):
        number = wa_id.translate(_PUNCTUATION)
        if not _is_number(number):
            return wa_id
    number = number.lstrip("0") or number  # no country code begins with 0, but international prefixes do
    country, rest = number[:2], number[2:]
    if country == _BRAZIL:
        return country + _brazilian(rest)
    if country == _MEXICO:
        return country + _mexican(rest)
    if country == _ARGENTINA:
        return country + _argentine(rest)
    return number


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _brazilian(number: str) -> str:
    """Return area code and number, with the ninth digit of a mobile number."""
    number = _without_trunk_prefix(number, (11, 12))
    if len(number) == 10 and number[0] != "0" and number[2] not in _LANDLINE_STARTS:
        return f"{number[:2]}9{number[2:]}"
    return number


def _without_trunk_prefix(number: str, lengths: tuple[int, int]) -> str:
    """Return a number of one of these lengths without the 0 of calls inside the country, as in +55 (0)88."""
    if len(number) in lengths and number[0] == "0" and number[1] != "0":
        return number[1:]
    return number


def _mexican(number: str) -> str:
    """Return area code and number without the `1` of mobile numbers."""
    return number[1:] if len(number) == 11 and number[0] == "1" else number


def _argentine(number: str) -> str:
    """Return area code and number, without the `9` of calls from abroad and the `15` of calls inside the country."""
    if len(number) in (11, 13) and number[0] == "9":
        number = number[1:]
    number = _without_trunk_prefix(number, (11, 13))
    if len(number) == 12:
        area = _argentine_area(number)
        if number[area : area + 2] == "15":
            return number[:area] + number[area + 2 :]
    return number


def _argentine_area(number: str) -> int:
    """Return the length of the area code."""
    if number.startswith(_BUENOS_AIRES):
        return 2
    return 3 if number[:3] in _AREAS_OF_THREE else 4
