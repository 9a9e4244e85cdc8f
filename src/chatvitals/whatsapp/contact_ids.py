"""Both ids of each person in a value. `contacts[]` shows which phone and which user id belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from chatvitals.whatsapp import enums
from chatvitals.whatsapp.phone_numbers import canonical
from chatvitals.whatsapp.schema import ContactItem, MessageItem, System, lower_word, text

if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CONTACTS: Final = 10_000


class Ids(NamedTuple):
    """A phone id and a user id. An unknown id is the empty string."""

    phone: str
    user: str


NOBODY: Final = Ids("", "")


class ValueContacts:
    """The contacts of one value.

    Args:
        contacts: the content of `contacts`, of any type.
        give_way: called between two contacts when they are read.

    """

    __slots__ = ("_contacts", "_give_way", "_phones", "_users")

    def __init__(self, contacts: Any, give_way: Callable[[], None] | None = None) -> None:
        self._give_way = give_way
        self._contacts: list[Any] = contacts if type(contacts) is list else []
        self._users: dict[str, str] | None = None
        self._phones: dict[str, str] = {}

    def join(self, phone: str, user: str) -> Ids:
        """Return both ids of a person. A missing id is taken from the contact with the other id."""
        if (phone and user) or not (phone or user) or not self._contacts:
            return Ids(phone, user)
        users = self._users
        if users is None:
            users = self._users = self._read()
        return Ids(phone, users.get(canonical(phone), "")) if phone else Ids(self._phones.get(user, ""), user)

    def only(self) -> Ids:
        """Return the ids of the only contact, or `NOBODY` where there is not exactly one contact."""
        if len(self._contacts) == 1 and type(self._contacts[0]) is ContactItem:
            return Ids(text(self._contacts[0].wa_id), text(self._contacts[0].user_id))
        return NOBODY

    def _read(self) -> dict[str, str]:
        """Return the contacts' user ids by canonical phone. The first contact with an id counts."""
        users: dict[str, str] = {}
        for contact in self._contacts[:_MAX_CONTACTS]:
            if self._give_way is not None:
                self._give_way()
            if type(contact) is ContactItem:
                phone, user = text(contact.wa_id), text(contact.user_id)
                if phone and user:
                    users.setdefault(canonical(phone), user)
                    self._phones.setdefault(user, phone)
        return users


def differing(ids: Ids, contact: Ids) -> Ids:
    """Return the contact's ids that differ from `ids`, although both belong to one person."""
    phone = contact.phone
    if phone and (phone == ids.phone or canonical(phone) == canonical(ids.phone)):
        phone = ""
    return Ids(phone, contact.user if contact.user != ids.user else "")


def parent_of(item: MessageItem) -> Any:
    """Return the sender's id for linked portfolios as it was sent, or None where there is none."""
    if item.from_parent_user_id is None and type(item.system) is System:
        return item.system.parent_user_id
    return item.from_parent_user_id


def of_system(item: MessageItem) -> tuple[Ids, Ids]:
    """Return the person that a `system` message is about, and the person's new ids if there are any.

    `contacts[]` is not used, since it may hold the old or the new ids.
    """
    phone, user = text(item.from_), text(item.from_user_id)
    system = item.system
    if type(system) is not System:
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
