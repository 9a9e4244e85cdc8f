"""From WhatsApp's bytes to events: every entry, change and item of a POST, whatever else is wrong with it.

This runs on the bot's path, so one pass of a typed decoder builds only what is read (`payloads`). What is rare and
needs more of the body (an account event's value, the content beside errors) costs a second pass over the same bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from chatvitals.events import AccountEvent, Echo, IdentityChange, Message, Preference, Status, Webhook
from chatvitals.whatsapp.closing_remarks import BY_DEFAULT, ClosingRemarks
from chatvitals.whatsapp.enums import KNOWN_FIELDS, OTHER
from chatvitals.whatsapp.schema import (
    About,
    Change,
    ContactItem,
    Document,
    Entry,
    Error,
    MessageItem,
    Metadata,
    PreferenceItem,
    Pricing,
    StatusItem,
    System,
    Text,
    Value,
    clean,
    read,
    read_plain,
    seconds,
    text,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_MAX_ITEMS: Final = 10_000  # entries, changes and items read of one POST, ten times what Meta promises to stay below
_FIELD_NAME: Final = re.compile(r"[a-z0-9_]+", re.ASCII)
_DIGITS: Final = frozenset("0123456789")
_MESSAGES: Final = "messages"
_ECHOES: Final = frozenset({"smb_message_echoes", "message_echoes"})
_PREFERENCES: Final = "user_preferences"
_ABOUT: Final = frozenset({"reaction", "edit", "revoke"})  # messages about another one
# About people, yet nothing that a turn or a message's fate depends on: old messages, threads that another responder
# owns, calls, address books. Their values must not travel further, and their `messages` and `statuses` are none.
_PRIVATE: Final = frozenset(
    "history standby calls smb_app_state_sync automatic_events tracking_events consumer_profile".split()
)
_REFUSED: Final = (msgspec.MsgspecError, ValueError, RecursionError)


def decode(body: bytes, received: float = 0.0, closings: ClosingRemarks = BY_DEFAULT) -> Webhook:
    """Return the events of one POST and what else there is to count about it; never raises, whatever the bytes are.

    Args:
        body: the request's body; up to 10,000 entries, changes and items of it are read, the rest is counted malformed.
        received: when it came, in Unix seconds of the local clock; every event carries it.
        closings: decides whether a text can be a closing remark.

    Returns:
        A `Webhook` with the result `accepted`, or `undecodable` where no list of entries could be read.

    """
    try:
        document = read(body)
    except RecursionError:
        return Webhook(result="undecodable", received=received)
    except _REFUSED:
        try:
            body = clean(body)
            document = read(body)
        except _REFUSED:
            return Webhook(result="undecodable", received=received)
    webhook = Webhook(result="accepted", received=received)
    if not _Reading(webhook, body, closings).document(document):
        return Webhook(result="undecodable", received=received)
    return webhook


class _Reading:
    """The reading of one body."""

    # What is being read: a change by its places in the lists of entries and changes, and the place of an item in it.
    # These and the next are mostly left at what they are here, which costs nothing per body.
    _place = (0, 0)
    _index = 0
    _plain: Any = None
    _contacts: tuple[dict[str, str], dict[str, str]] | None = None
    _number = ""
    _value: Value

    def __init__(self, webhook: Webhook, body: bytes, closings: ClosingRemarks) -> None:
        self._webhook = webhook
        self._closings = closings
        self._received = webhook.received
        self._body = body
        self._left = _MAX_ITEMS

    def document(self, document: Document) -> bool:
        """Read everything; return False where there is no list of entries."""
        if type(document.entry) is not list:
            return False
        for i, entry in enumerate(self._bounded(document.entry)):
            if type(entry) is not Entry or type(entry.changes) is not list:
                self._webhook.malformed += 1
                continue
            for j, change in enumerate(self._bounded(entry.changes)):
                if type(change) is Change:
                    self._place = (i, j)
                    self._change(entry, change)
                else:
                    self._webhook.malformed += 1
        return True

    def _bounded(self, items: list[T]) -> list[T]:
        """Return the items that may still be read, and count the others (tests/safety/README.md 56)."""
        amount = len(items)
        if amount > self._left:
            self._webhook.malformed += amount - self._left
            items, amount = items[: self._left], self._left
        self._left -= amount
        return items

    def _change(self, entry: Entry, change: Change) -> None:
        webhook = self._webhook
        field: str = change.field if type(change.field) is str else ""
        known = field in KNOWN_FIELDS
        name = field if known else _field_name(field)
        counted = (name, known)
        webhook.fields[counted] = webhook.fields.get(counted, 0) + 1
        value = change.value
        if type(value) is not Value or not field:
            webhook.malformed += 1
            return
        self._metadata(value)
        if field == _MESSAGES:  # mostly it holds one of the two
            if value.messages is not None:
                self._items(value.messages, MessageItem, self._message)
            if value.statuses is not None:
                self._items(value.statuses, StatusItem, self._status)
        elif field in _ECHOES:
            self._items(value.message_echoes, MessageItem, self._echo)
        elif field == _PREFERENCES:
            self._items(value.user_preferences, PreferenceItem, self._preference)
        elif field not in _PRIVATE:
            plain = self._plain_value()
            if plain is None:
                webhook.malformed += 1
                return
            event = AccountEvent(
                field=name, entry=text(entry.id), time=seconds(entry.time), value=plain, received=self._received
            )
            webhook.events.append(event)

    def _metadata(self, value: Value) -> None:
        self._value = value
        self._contacts = None
        metadata = value.metadata
        if type(metadata) is not Metadata:
            self._number = ""
            return
        self._number = word(metadata.phone_number_id)
        display = word(metadata.display_phone_number)
        if not (display.isdecimal() and display.isascii()):
            display = "".join(filter(_DIGITS.__contains__, display))
        if display and self._number:
            self._webhook.numbers[self._number] = display

    def _items(self, items: Any, kind: type[T], convert: Callable[[T], bool]) -> None:
        """Convert the items of one list; what is no item, or says too little, is counted."""
        if items is None:
            return
        if type(items) is not list:
            self._webhook.malformed += 1
            return
        for index, item in enumerate(self._bounded(items)):
            self._index = index
            if type(item) is not kind or not self._number or not convert(item):
                self._webhook.malformed += 1

    # Items; each returns whether there was an event in it

    def _message(self, item: MessageItem) -> bool:
        message_id = text(item.id)
        if not message_id:
            return False
        kind = word(item.type)
        change = None
        if kind == "system":
            phone, user, change = self._system(item)
        else:
            phone, user = self._person(item.from_, item.from_user_id)
        message = Message(
            phone_number_id=self._number,
            wa_id=phone,
            user_id=user,
            received=self._received,
            id=message_id,
            type=kind,
            timestamp=seconds(item.timestamp),
            of=_of(item, kind) if kind in _ABOUT else "",
            group=bool(item.group_id),
            only_errors=bool(item.errors) and kind != "unsupported" and not self._has_content(kind),
            closing=kind == "text" and type(item.text) is Text and self._closings.match_json(item.text.body),
        )
        self._webhook.events.append(message)
        if change is not None:
            self._webhook.events.append(change)
        return True

    def _system(self, item: MessageItem) -> tuple[str, str, IdentityChange | None]:
        """Return whom a `system` message is about, and who that person is from now on.

        `contacts[]` is left alone here, since it may hold the ids of before or after.
        """
        phone, user = text(item.from_), text(item.from_user_id)
        system = item.system
        if type(system) is not System:
            return phone, user, None
        new_phone, new_user = text(system.wa_id), text(system.user_id)
        if system.type == "user_changed_user_id":
            phone = phone or new_phone
            user = text(system.previous_user_id) or user
        elif system.type != "user_changed_number":
            return phone, user, None
        new_phone = "" if new_phone == phone else new_phone
        new_user = "" if new_user == user else new_user
        if not phone and not user:
            return new_phone, new_user, None
        if not new_phone and not new_user:
            return phone, user, None
        change = IdentityChange(
            phone_number_id=self._number,
            wa_id=phone,
            user_id=user,
            received=self._received,
            new_wa_id=new_phone,
            new_user_id=new_user,
        )
        return phone, user, change

    def _status(self, item: StatusItem) -> bool:
        message_id, status = text(item.id), word(item.status)
        if not message_id or not status:
            return False
        group = item.recipient_type == "group"
        # A group is one recipient, whichever participant a status is about (whatsapp/README.md 3.2).
        phone, user = (
            (text(item.recipient_id), "") if group else self._person(item.recipient_id, item.recipient_user_id)
        )
        self._webhook.events.append(
            Status(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                id=message_id,
                status=status.lower(),
                timestamp=seconds(item.timestamp),
                category=word(item.pricing.category) if type(item.pricing) is Pricing else "",
                code=_code(item.errors) if item.errors else "",
                group=group,
            )
        )
        return True

    def _echo(self, item: MessageItem) -> bool:
        message_id = text(item.id)
        if not message_id:
            return False
        phone, user = self._person(item.to, item.to_user_id)
        self._webhook.events.append(
            Echo(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                id=message_id,
                type=word(item.type),
                timestamp=seconds(item.timestamp),
            )
        )
        return True

    def _preference(self, item: PreferenceItem) -> bool:
        value = word(item.value)
        if not value:
            return False
        phone, user = self._person(item.wa_id, item.user_id)
        self._webhook.events.append(
            Preference(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                category=word(item.category),
                value=value,
                timestamp=seconds(item.timestamp),
            )
        )
        return True

    # Who it was

    def _person(self, phone_id: Any, user_id: Any) -> tuple[str, str]:
        """Return both ids of a person; one that the item leaves out is taken from the contact that has the other."""
        phone = phone_id if type(phone_id) is str else text(phone_id)
        user = user_id if type(user_id) is str else text(user_id)
        if (phone and user) or type(self._value.contacts) is not list:
            return phone, user
        if self._contacts is None:
            self._contacts = _by_id(self._value.contacts)
        users, phones = self._contacts
        if phone:
            return phone, users.get(phone, "")
        if user:
            return phones.get(user, ""), user
        return self._only_person(self._value.contacts)

    def _only_person(self, contacts: list[Any]) -> tuple[str, str]:
        """Return the ids of the one contact, where the value holds one item and leaves no doubt whose it is."""
        lists = (getattr(self._value, name) for name in (_MESSAGES, "statuses", "message_echoes", _PREFERENCES))
        if sum(len(items) for items in lists if type(items) is list) == len(contacts) == 1:
            (contact,) = contacts
            if type(contact) is ContactItem:
                return text(contact.wa_id), text(contact.user_id)
        return "", ""

    # The second pass

    def _has_content(self, kind: str) -> bool:
        """Return whether a message holds the key named like its type, beside its errors."""
        value = self._plain_value()
        return value is not None and value[_MESSAGES][self._index].get(kind) is not None

    def _plain_value(self) -> dict[str, Any] | None:
        """Return the whole value of a change, of which the first pass kept a few keys."""
        if self._plain is None:
            try:
                self._plain = _read_plain(self._body)
            except _REFUSED:
                self._plain = {}
        if not self._plain:
            return None
        entry, change = self._place
        value: dict[str, Any] = self._plain["entry"][entry]["changes"][change]["value"]
        return value


def _read_plain(body: bytes) -> Any:
    """Return everything in the body; a place that the first pass skipped may hold what msgspec refuses."""
    try:
        return read_plain(body)
    except _REFUSED:
        return read_plain(clean(body))


def _by_id(contacts: list[Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the contacts' user ids by phone, and their phones by user id; the first one of an id counts."""
    users: dict[str, str] = {}
    phones: dict[str, str] = {}
    for contact in contacts[:_MAX_ITEMS]:
        if type(contact) is ContactItem:
            phone, user = text(contact.wa_id), text(contact.user_id)
            if phone and user:
                users.setdefault(phone, user)
                phones.setdefault(user, phone)
    return users, phones


def _of(item: MessageItem, kind: str) -> str:
    """Return the id of the message that a reaction, an edit or a deletion is about."""
    if kind == "reaction":
        return text(item.reaction.message_id) if type(item.reaction) is About else ""
    if kind == "edit":
        return text(item.edit.original_message_id) if type(item.edit) is About else ""
    return text(item.revoke.original_message_id) if type(item.revoke) is About else ""


def _code(errors: Any) -> str:
    first = errors[0] if type(errors) is list else None
    return word(first.code) if type(first) is Error else ""


def _field_name(field: str) -> str:
    """Return the name of a field that is not known, if it looks like one; free text never goes further."""
    name = field[:64]
    return name if _FIELD_NAME.fullmatch(name) else OTHER
