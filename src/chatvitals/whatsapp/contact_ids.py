"""All ids of each person in a value. `contacts[]` shows which of them belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatvitals.whatsapp import enums
from chatvitals.whatsapp.phone_numbers import canonical
from chatvitals.whatsapp.schema import ContactItem, MessageItem, StatusItem, System, lower_word, only, text

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CONTACTS: Final = 10_000


class Ids(NamedTuple):
    """A phone id, a user id and an id for linked portfolios. An unknown id is the empty string."""

    phone: str
    user: str
    parent: str = ""


NOBODY: Final = Ids("", "")


class ValueContacts:
    """The contacts of one value.

    Args:
        contacts: the content of `contacts`, of any type.
        give_way: called between two contacts when they are read.

    """

    __slots__ = ("_contacts", "_give_way", "_known")

    def __init__(self, contacts: Any, give_way: Callable[[], None] | None = None) -> None:
        self._give_way = give_way
        self._contacts: list[Any] = contacts if type(contacts) is list else []
        self._known: dict[str, Ids] | None = None

    def join(self, phone: str, user: str) -> Ids:
        """Return all ids of a person. Missing ids are taken from the contact with a known id."""
        if not (phone or user) or not self._contacts:
            return Ids(phone, user)
        known = self._known
        if known is None:
            known = self._known = self._read()
        by_user = known.get(user, NOBODY)
        by_phone = known.get(canonical(phone), NOBODY)
        return Ids(phone or by_user.phone, user or by_phone.user, by_user.parent or by_phone.parent)

    def only(self) -> Ids:
        """Return the ids of the only contact, or `NOBODY` where there is not exactly one contact."""
        return _of_contact(self._contacts[0]) if len(self._contacts) == 1 else NOBODY

    def _read(self) -> dict[str, Ids]:
        """Return the contacts by canonical phone and by user id. The first contact with an id counts."""
        known: dict[str, Ids] = {}
        for contact in self._contacts[:_MAX_CONTACTS]:
            if self._give_way is not None:
                self._give_way()
            ids = _of_contact(contact)
            if len(ids) - ids.count("") > 1:  # otherwise it joins nothing
                for key in filter(None, (canonical(ids.phone), ids.user)):
                    known.setdefault(key, ids)
        return known


def _of_contact(contact: Any) -> Ids:
    if type(contact) is not ContactItem:
        return NOBODY
    return Ids(text(contact.wa_id), text(contact.user_id), text(contact.parent_user_id))


def may_be_of(contact: Ids, status: Any) -> bool:
    """Return whether a contact may be the recipient of a status, and not the sender of a message beside it."""
    if type(status) is not StatusItem:
        return False
    phone, user = text(status.recipient_id), text(status.recipient_user_id)
    if not phone and not user:
        return True
    return user == contact.user != "" or canonical(phone) == canonical(contact.phone) != ""


def differing(ids: Ids, contact: Ids) -> Ids:
    """Return the contact's ids that differ from `ids`, although both belong to one person."""
    phone = contact.phone
    if phone and (phone == ids.phone or canonical(phone) == canonical(ids.phone)):
        phone = ""
    return Ids(phone, contact.user if contact.user != ids.user else "")


def parents_of(item: MessageItem) -> tuple[Any, ...]:
    """Return the sender's ids for linked portfolios as they were sent. A `system` message may have two of them."""
    system = only(item.system, System)
    if system is None:
        return (item.from_parent_user_id,)
    return item.from_parent_user_id, system.parent_user_id, system.previous_parent_user_id


def of_system(item: MessageItem) -> tuple[Ids, Ids]:
    """Return the person that a `system` message is about, and the person's new ids if there are any."""
    phone, user = text(item.from_), text(item.from_user_id)
    system = only(item.system, System)
    if system is None:
        return Ids(phone, user), NOBODY
    new_phone, new_user = text(system.new_wa_id), text(system.user_id)
    kind = lower_word(system.type)
    if kind not in enums.IDENTITY_CHANGES and not new_phone:
        return Ids(phone, user), NOBODY
    new_phone = new_phone or text(system.wa_id)
    customer = text(system.customer)
    if not phone or phone == new_phone:  # the older form has the earlier number here, whatever the sender
        phone = customer or phone
    if kind == "user_changed_user_id":
        phone = phone or new_phone
    user = text(system.previous_user_id) or user
    new_phone = "" if new_phone == phone else new_phone
    new_user = "" if new_user == user else new_user
    if not phone and not user:
        return Ids(new_phone, new_user), NOBODY
    return Ids(phone, user), Ids(new_phone, new_user)
