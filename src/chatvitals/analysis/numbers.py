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


def chosen(numbers: Iterable[Number], wanted: str, option: str = "--number") -> Number:
    """Return the number that an id, digits or a name stand for.

    Raises:
        WrongNameError: there is no such number, or several numbers have this name.

    """
    known = list(numbers)
    digits = "".join(char for char in wanted if char.isdecimal())
    exact = [number for number in known if number.id == wanted]
    found = exact or [
        number
        for number in known
        if (digits and "".join(char for char in number.display if char.isdecimal()) == digits)
        or number.name.casefold() == wanted.casefold()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise WrongNameError(
            f"{option}: {printable(wanted)} names several numbers: {listed(number.display for number in found)}"
        )
    raise WrongNameError(
        f"{option}: there is no number {printable(wanted)}. There are: {listed(str(number) for number in known)}"
    )


def _named(labels: dict[str, str]) -> Number:
    return Number(
        labels.get(catalogue.NUMBER, ""),
        phone(printable(labels.get("display_phone_number", ""))),
        printable(labels.get("verified_name", "")),
    )
