"""Match ids with a contact. The ids are a phone number in any spelling, or a business-scoped user id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.context import ContactIds


def find(contacts: Iterable[ContactIds], number: str, phone: str, user: str) -> ContactIds | None:
    """Return the first contact that matches these ids, or None.

    Args:
        contacts: the contacts to search, in order.
        number: the business number's id. The empty string matches any.
        phone: a phone number in any spelling, or the empty string.
        user: a business-scoped user id, or the empty string.

    """
    for contact in contacts:
        if matches(contact, number, phone, user):
            return contact
    return None


def matches(contact: ContactIds, number: str, phone: str, user: str) -> bool:
    """Return whether these ids match this contact. An id that either side does not know is ignored."""
    if number and contact.phone_number_id and number != contact.phone_number_id:
        return False
    if user and user == contact.user_id:
        return True
    return bool(phone and contact.wa_id) and (phone == contact.wa_id or canonical(phone) == canonical(contact.wa_id))
