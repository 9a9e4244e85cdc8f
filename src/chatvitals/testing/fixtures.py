"""Made-up people and business numbers with the names of the scenarios: `A`, `B2`, `N1`, `W2`."""

from __future__ import annotations

import string
from typing import NamedTuple

from chatvitals.simulator import payloads

NAMES = tuple(f"{letter}{change}" for change in ("", "2") for letter in string.ascii_uppercase)
"""All people: `A` to `Z`, and each of them after a change of number or id."""
_PHONE = 15_550_004_320
_USER = 90_000_000_000_000_000_000
_CHANGED_PHONE = 15_550_005_677
_CHANGED_USER = 90_000_000_000_000_001_000
_NUMBER = 990_005_556_667_777
_DISPLAY = 15_550_001_233
_WABA = 990_001_112_223_333


class ScenarioPerson(NamedTuple):
    """A customer with phone id and business-scoped user id."""

    phone: str
    """Phone id, which is digits without a plus sign."""
    user: str
    """Business-scoped user id."""


class Place(NamedTuple):
    """A business number with its id, its display number and its WhatsApp Business Account."""

    phone_number_id: str
    """Id of the number."""
    display: str
    """The number as people see it, in digits."""
    waba: str
    """Id of the account."""


def person(name: str) -> ScenarioPerson:
    """Return the person of a letter. A `2` after the letter means the person after a change of number or id.

        person("A").phone    # "15550004321"
        person("A2").phone   # "15550005678"

    Args:
        name: a letter from A to Z, with or without a `2`.

    Raises:
        ValueError: the name is not a letter from A to Z, with or without a `2`.

    """
    if not (name[:1].isascii() and name[:1].isupper() and name[1:] in {"", "2"}):
        raise ValueError(f"a contact is a letter from A to Z, with or without a 2 after it, not {name!r}")
    index = ord(name[0]) - ord("A") + 1
    if name[1:]:
        return ScenarioPerson(str(_CHANGED_PHONE + index), f"US.{_CHANGED_USER + index}")
    return ScenarioPerson(str(_PHONE + index), f"US.{_USER + index}")


def place(name: str = "N1") -> Place:
    """Return the business number `N1` to `N9`. The first five belong to the account W1, the others to W2.

        place("N2").phone_number_id   # "990005556667779"

    Args:
        name: `N1` to `N9`.

    Raises:
        ValueError: the name is not N1 to N9.

    """
    if len(name) != 2 or name[0] != "N" or name[1] not in "123456789":
        raise ValueError(f"a business number is N1 to N9, not {name!r}")
    index = int(name[1])
    return Place(str(_NUMBER + index), str(_DISPLAY + index), waba("W1" if index <= 5 else "W2"))


def waba(name: str) -> str:
    """Return the id of the WhatsApp Business Account `W1` or `W2`."""
    return str(_WABA + int(name[1:]))


def wamid(phone: str, name: str) -> str:
    """Return a message id that holds the phone number in base64, like WhatsApp's ids.

        wamid(person("A").phone, "m1")

    Args:
        phone: phone id of the sender.
        name: name of the message. The same phone and name give the same id.

    """
    return payloads.named_wamid(phone, name, inbound=True)
