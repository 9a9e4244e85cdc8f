"""Made-up people and a made-up business number."""

from __future__ import annotations

from typing import NamedTuple


class BusinessNumber(NamedTuple):
    """A business number with the ids that WhatsApp shows."""

    phone_number_id: str = "990005556667778"
    waba_id: str = "990001112223334"
    display: str = "15559990000"


class Person(NamedTuple):
    """A customer with the ids that WhatsApp shows to the business. A hidden id is the empty string."""

    name: str
    phone: str = ""
    user: str = ""

    @property
    def key(self) -> str:
        """The person id of conversations/README.md 1, which is the business-scoped user id or else the phone id."""
        return self.user or self.phone


_NAMES = ("Ada", "Benno", "Chiara", "Dana", "Emil", "Fatima", "Gusti", "Hana", "Ilaria", "Jonas", "Kaja", "Luïs")


def person(index: int) -> Person:
    """Return customer number `index` (from 0). Of five, three show both ids, one only the phone, one only the BSUID."""
    name = f"{_NAMES[index % len(_NAMES)]} Example"
    phone = f"1555{index + 1:07d}"
    user = f"US.9{index + 1:019d}"
    if index % 5 == 3:
        return Person(name, phone=phone)
    if index % 5 == 4:
        return Person(name, user=user)
    return Person(name, phone=phone, user=user)
