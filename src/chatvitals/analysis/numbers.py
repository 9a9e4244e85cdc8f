"""Business numbers by the names that people know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatvitals.analysis.errors import TooLittleDataError, WrongNameError, listed, printable
from chatvitals.analysis.wording import phone
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.analysis.prometheus_api import PrometheusApi
    from chatvitals.exporters.scrape import Sample

_LEAST_NATIONAL_DIGITS = 7  # fewer digits may be the end of a number by chance


@dataclass(frozen=True, slots=True)
class Number:
    """A business number.

    Args:
        id: the `phone_number_id`.
        display: the number as people write it. It is empty where it is not known.
        name: the verified name of the business. It is empty where it is not known.

    """

    id: str
    display: str = ""
    name: str = ""

    def __str__(self) -> str:
        """Return name and number, or the id where neither is known."""
        return " ".join(part for part in (self.name, self.display) if part) or self.id


def known_numbers(api: PrometheusApi, start: float, end: float) -> list[Number]:
    """Return the business numbers that had turns or a name between two moments, the busiest first.

    Raises:
        TooLittleDataError: there is no such number.

    """
    window = f"[{max(int(end - start), 600)}s]"
    infos = api.query(f"last_over_time({catalogue.NUMBER_INFO.name}{window})", end)
    opened = f"last_over_time({catalogue.TURNS_OPENED.name}{window})"
    turns = api.query(f"max by (phone_number_id) (sum without (turn, in_hours) ({opened}))", end)
    named = {info.labels.get(catalogue.NUMBER, ""): _named(info.labels) for info in infos}
    busy = {series.labels.get(catalogue.NUMBER, ""): series.last for series in turns}
    ids = sorted({*named, *busy} - {""}, key=lambda key: (-busy.get(key, 0.0), key))
    if not ids:
        raise TooLittleDataError("Prometheus knows no business number in this time.")
    return [named.get(key, Number(key)) for key in ids]


def numbers_in(samples: Iterable[Sample]) -> list[Number]:
    """Return the business numbers in samples of chatvitals, sorted by id."""
    found: dict[str, Number] = {}
    for sample in samples:
        key = sample.labels.get(catalogue.NUMBER, "")
        if sample.name == catalogue.NUMBER_INFO.name:
            found[key] = _named(sample.labels)
        else:
            found.setdefault(key, Number(key))
    return [found[key] for key in sorted(found) if key]


def chosen(numbers: Iterable[Number], wanted: str, option: str = "--number") -> Number:
    """Return the number that an id, a phone number or a name stands for.

    A phone number may be written with spaces, `+`, `00`, dashes and brackets, or without its country code.

        chosen(numbers, "(0555) 999-0000") == Number("990005556667778", "+1 555 999-0000", "Example Shop")

    Raises:
        WrongNameError: there is no such number, or several numbers have this name.

    """
    known = list(numbers)
    digits = _phone_digits(wanted)
    national = digits.lstrip("0")
    ways = (
        [number for number in known if number.id == wanted.strip()],
        [number for number in known if digits and _phone_digits(number.display) in _without_prefix(digits)],
        [number for number in known if number.name and number.name.casefold() == wanted.strip().casefold()],
        [
            number
            for number in known
            if len(national) >= _LEAST_NATIONAL_DIGITS and _phone_digits(number.display).endswith(national)
        ],
    )
    found = next((numbers for numbers in ways if numbers), [])
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongNameError(f"{option}: {printable(wanted)} names several numbers: {_listed(found)}")
    if not wanted.strip():
        raise WrongNameError(f"{option} must not be an empty text. There are: {_listed(known)}")
    raise WrongNameError(f"{option}: there is no number {printable(wanted)}. There are: {_listed(known)}")


def _listed(numbers: Iterable[Number]) -> str:
    """Return numbers as people know them, with their ids."""
    return listed(number.id if str(number) == number.id else f"{number} ({number.id})" for number in numbers)


def _phone_digits(text: str) -> str:
    """Return the digits of a phone number in any spelling. The result is empty for another text."""
    bare = "".join(char for char in text.replace("(0)", "").casefold().removeprefix("tel:") if char.isalnum())
    return "".join(str(int(char)) for char in bare) if bare.isdecimal() else ""


def _without_prefix(digits: str) -> set[str]:
    """Return digits with and without the prefix of an international call."""
    return {digits, digits.removeprefix("00"), digits.removeprefix("011")}


def _named(labels: dict[str, str]) -> Number:
    return Number(
        labels.get(catalogue.NUMBER, ""),
        phone(printable(labels.get("display_phone_number", ""))),
        printable(labels.get("verified_name", "")),
    )
