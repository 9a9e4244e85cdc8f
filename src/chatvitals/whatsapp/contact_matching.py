"""Match ids with a contact. The ids are a phone number in any spelling, or a business-scoped user id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.context import ContactIds
from chatvitals.events import Message
from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.events import Event


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


def contacts_of(events: Iterable[Event]) -> tuple[ContactIds, ...]:
    """Return the distinct contacts whose messages are among `events`, in order; group messages name none.

    Several messages of one person may show different ids, or spellings of a phone number.
    """
    found: list[ContactIds] = []
    places: dict[tuple[str, str], int] = {}  # of each id in `found`
    for event in events:
        if type(event) is not Message or event.group or not (event.wa_id or event.user_id):
            continue
        number = event.phone_number_id
        ids = [(number, person_id) for person_id in (event.user_id, canonical(event.wa_id)) if person_id]
        place = next((places[key] for key in ids if key in places), len(found))
        if place == len(found):
            found.append(ContactIds(number, event.wa_id, event.user_id))
        else:
            known = found[place]
            found[place] = ContactIds(number, known.wa_id or event.wa_id, known.user_id or event.user_id)
        places.update(dict.fromkeys(ids, place))
    return tuple(found)
