"""Conversion of a decoded body to events. One bad item never stops the others.

The typed decoder builds only the keys that are read (`schema`). Rare needs (an account event's value, the content
beside errors) cost a second pass over the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from chatvitals.events import AccountEvent, Echo, IdentityChange, Message, Preference, Status
from chatvitals.whatsapp import contact_ids, message_kinds
from chatvitals.whatsapp.contact_ids import NOBODY, Ids, ValueContacts
from chatvitals.whatsapp.enums import (
    ECHO_FIELDS,
    KNOWN_FIELDS,
    MESSAGE_FIELD,
    MESSAGE_STATUS_TYPES,
    PREFERENCE_FIELD,
    PRIVATE_FIELDS,
    STANDBY_FIELD,
    unlisted_field,
)
from chatvitals.whatsapp.schema import (
    REFUSED,
    Change,
    Document,
    Entry,
    MessageItem,
    Metadata,
    PreferenceItem,
    Pricing,
    SendBody,
    Standby,
    StatusItem,
    Text,
    Value,
    lower_word,
    only,
    seconds,
    text,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.events import Actor, Webhook
    from chatvitals.whatsapp.closing_remarks import ClosingRemarks

T = TypeVar("T")

_MAX_ITEMS: Final = 10_000  # entries, changes and items read of one POST, ten times what Meta promises to stay below
_FEW: Final = 100  # statuses beside a message that are compared with its contact
_DIGITS: Final = frozenset("0123456789")
_NO_LIST: Final = ""
_LISTS: Final = ("messages", "statuses", "message_echoes", "user_preferences")


class WebhookReading:
    """The parser of one body.

    Args:
        webhook: receives the events and counts.
        read_all: returns everything in the body, for the keys that the typed decoder left out. It may raise.
        closings: the detector of closing remarks.
        give_way: called between the items of a list.

    """

    # State of the parser: a change by its indexes in the lists of entries and changes, the index of an item in its
    # list, and the length of that list.
    # These and the next mostly keep their defaults, which costs nothing per body.
    _place = (0, 0)
    _index = 0
    _size = 0
    _plain: Any = None
    _contacts = ValueContacts(None)
    _number = ""
    _holder: Value | Standby

    def __init__(
        self,
        webhook: Webhook,
        read_all: Callable[[], Any],
        closings: ClosingRemarks,
        give_way: Callable[[], None] | None = None,
    ) -> None:
        self._webhook = webhook
        self._closings = closings
        self._received = webhook.received
        self._read_all = read_all
        self._give_way = give_way
        self._left = _MAX_ITEMS

    def document(self, document: Document) -> bool:
        """Parse everything. Return False where there is no list of entries."""
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
        """Cut a list to the items that may still be read. The others are malformed (tests/safety/README.md 56)."""
        self._webhook.malformed += max(len(items) - self._left, 0)
        del items[self._left :]
        self._left -= len(items)
        return items

    def _change(self, entry: Entry, change: Change) -> None:
        webhook = self._webhook
        field: str = change.field if type(change.field) is str else ""
        known = field in KNOWN_FIELDS
        name = field if known else unlisted_field(field)
        counted = (name, known)
        webhook.fields[counted] = webhook.fields.get(counted, 0) + 1
        value = change.value
        if type(value) is not Value or not field:
            webhook.malformed += 1
            return
        self._metadata(value)
        if field == MESSAGE_FIELD:  # most values hold only one of the two
            if value.messages is not None:
                self._items(value.messages, MessageItem, self._message)
            if value.statuses is not None:
                self._items(value.statuses, StatusItem, self._status)
        elif field in ECHO_FIELDS:
            self._items(_given(value.message_echoes), MessageItem, self._echo)
        elif field == STANDBY_FIELD:
            self._standby(value)
        elif field == PREFERENCE_FIELD:
            self._items(_given(value.user_preferences), PreferenceItem, self._preference)
        elif field not in PRIVATE_FIELDS:
            plain = self._plain_value()
            if plain is None:
                webhook.malformed += 1
                return
            event = AccountEvent(
                field=name, entry=text(entry.id), time=seconds(entry.time), value=plain, received=self._received
            )
            webhook.events.append(event)

    def _metadata(self, value: Value) -> None:
        self._holder = value
        self._contacts = ValueContacts(value.contacts, self._give_way)
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
        """Convert the items of one list. Invalid and incomplete items are counted as malformed."""
        if items is None:
            return
        if type(items) is not list:
            self._webhook.malformed += 1
            return
        self._size = len(items)
        for index, item in enumerate(self._bounded(items)):
            self._index = index
            if index and self._give_way is not None:
                self._give_way()
            if type(item) is not kind or not self._number or not convert(item):
                self._webhook.malformed += 1
            items[index] = None  # to free thousands of items at once would take long

    # Items; each function returns whether the item was valid

    def _message(self, item: MessageItem) -> bool:
        message_id = text(item.id)
        if not message_id:
            return False
        kind = lower_word(item.type)
        if kind == "system":
            ids, new = contact_ids.of_system(item)
        else:
            ids, new = Ids(text(item.from_), text(item.from_user_id)), NOBODY
        phone, user = self._linked(self._sender(ids), *contact_ids.parents_of(item))
        message = Message(
            phone_number_id=self._number,
            wa_id=phone,
            user_id=user,
            received=self._received,
            id=message_id,
            type=kind,
            timestamp=seconds(item.timestamp),
            of=message_kinds.about(item, kind) if kind in message_kinds.ABOUT else "",
            group=bool(item.group_id),
            only_errors=bool(item.errors) and kind != "unsupported" and not self._has_content(kind),
            closing=kind == "text" and type(item.text) is Text and self._closings.match_json(item.text.body),
            adds_nothing=message_kinds.adds_nothing(item, kind),
        )
        self._webhook.events.append(message)
        if new != NOBODY:
            self._identity(phone, user, new)
        return True

    def _identity(self, phone: str, user: str, other: Ids) -> None:
        """Add an event that these ids and the other ids belong to one person."""
        change = IdentityChange(
            phone_number_id=self._number,
            wa_id=phone,
            user_id=user,
            received=self._received,
            new_wa_id=other.phone,
            new_user_id=other.user,
        )
        self._webhook.events.append(change)

    def _status(self, item: StatusItem) -> bool:
        message_id, status = text(item.id), lower_word(item.status)
        if not message_id or not status:
            return False
        kind = lower_word(item.type)
        if kind not in MESSAGE_STATUS_TYPES or (not kind and item.payment is not None):
            return True  # status of a payment or a call, with a message's id
        group = lower_word(item.recipient_type) == "group"
        if group:  # one recipient, even if a status is about one participant (whatsapp/README.md 3.2)
            phone, user = text(item.recipient_id), ""
        else:
            parents = (item.recipient_parent_user_id, item.parent_recipient_user_id, item.parent_user_id)
            phone, user = self._linked(self._person(item.recipient_id, item.recipient_user_id), *parents)
        pricing = only(item.pricing, Pricing)
        self._webhook.events.append(
            Status(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                id=message_id,
                status=status,
                timestamp=seconds(item.timestamp),
                category="" if pricing is None else word(pricing.category),
                code=message_kinds.failure_code(item.errors) if item.errors else "",
                group=group,
            )
        )
        return True

    def _echo(self, item: MessageItem) -> bool:
        if not item.id:
            return False
        return self._add_echo(item, lower_word(item.type), self._person(item.to, item.to_user_id), actor="human")

    def _standby(self, value: Value) -> None:
        """Parse messages of another responder. Customers' messages in standby wait for that responder."""
        standby = value.standby
        if type(standby) is Standby:
            self._holder = standby
            self._contacts = ValueContacts(standby.contacts, self._give_way)
            self._items(standby.message_echoes, MessageItem, self._standby_echo)
        elif standby is not None:
            self._webhook.malformed += 1
        else:
            self._items(value.message_echoes, MessageItem, self._standby_echo)

    def _standby_echo(self, item: MessageItem) -> bool:
        body = item.message
        if type(body) is not SendBody:
            return self._add_echo(item, lower_word(item.type), self._person(item.to, item.to_user_id), actor="unknown")
        if message_kinds.is_mark(body):
            return bool(item.id)
        to, user = body.to or item.to, body.recipient or item.to_user_id
        if lower_word(body.recipient_type) == "group":
            item.group_id = item.group_id or to
        return self._add_echo(item, lower_word(body.type) or "text", self._person(to, user), actor="unknown")

    def _add_echo(self, item: MessageItem, kind: str, person: Ids, *, actor: Actor) -> bool:
        message_id = text(item.id)
        if not message_id:
            return False
        phone, user = (text(item.group_id), "") if item.group_id else self._linked(person, item.to_parent_user_id)
        self._webhook.events.append(
            Echo(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                id=message_id,
                type=kind,
                timestamp=seconds(item.timestamp),
                adds_nothing=message_kinds.adds_nothing(item, kind),
                actor=actor,
            )
        )
        return True

    def _preference(self, item: PreferenceItem) -> bool:
        value = lower_word(item.value)
        if not value:
            return False
        phone, user = self._linked(self._person(item.wa_id, item.user_id), item.parent_user_id)
        self._webhook.events.append(
            Preference(
                phone_number_id=self._number,
                wa_id=phone,
                user_id=user,
                received=self._received,
                category=lower_word(item.category),
                value=value,
                timestamp=seconds(item.timestamp),
            )
        )
        return True

    # People

    def _linked(self, ids: Ids, *parents: Any) -> tuple[str, str]:
        """Record that ids for linked portfolios are other ids of this person. Return the person's ids."""
        phone, user = ids.phone, ids.user
        for parent in dict.fromkeys(map(text, (*parents, ids.parent))):
            if not phone and not user:
                user = parent
            elif parent and parent != user:
                self._identity(phone, user, Ids("", parent))
        return phone, user

    def _person(self, phone_id: Any, user_id: Any) -> Ids:
        """Return all ids of a person. Missing ids are taken from the contact with a known id."""
        phone = phone_id if type(phone_id) is str else text(phone_id)
        user = user_id if type(user_id) is str else text(user_id)
        joined = self._contacts.join(phone, user)
        if (joined.phone and joined.user) or not self._has_one_item():
            return joined
        contact = self._contacts.only()
        if (phone and contact.phone) or (user and contact.user):  # the contact is another person
            return joined
        return Ids(phone or contact.phone, user or contact.user, joined.parent or contact.parent)

    def _sender(self, ids: Ids) -> Ids:
        """Return all ids of a sender. One message and one contact are one person."""
        contact = self._contacts.only()
        if contact == NOBODY or not self._is_only_message(contact):
            return self._contacts.join(ids.phone, ids.user)
        joined = Ids(ids.phone or contact.phone, ids.user or contact.user, contact.parent)
        other = contact_ids.differing(joined, contact)
        if other != NOBODY:
            self._identity(joined.phone, joined.user, other)
        return joined

    def _is_only_message(self, contact: Ids) -> bool:
        """Return whether the value's only contact belongs to its only message, and not to a status beside it."""
        statuses = getattr(self._holder, "statuses", None)
        if self._size != 1 or type(statuses) is not list:
            return self._size == 1
        return len(statuses) <= _FEW and not any(contact_ids.may_be_of(contact, status) for status in statuses)

    def _has_one_item(self) -> bool:
        """Return whether the value holds exactly one item, so that its contact is certain."""
        if self._size != 1:
            return False
        lists = (getattr(self._holder, name, None) for name in _LISTS)
        return sum(len(items) for items in lists if type(items) is list) == 1

    # The second pass

    def _has_content(self, kind: str) -> bool:
        """Return whether a message has content beside its errors, under the key with the name of its type."""
        value = self._plain_value()
        return value is not None and value["messages"][self._index].get(kind) is not None

    def _plain_value(self) -> dict[str, Any] | None:
        """Return the whole value of a change. The first pass kept only a few keys."""
        if self._plain is None:
            try:
                self._plain = self._read_all()
            except REFUSED:
                self._plain = {}
        if not self._plain:
            return None
        entry, change = self._place
        value: dict[str, Any] = self._plain["entry"][entry]["changes"][change]["value"]
        return value


def _given(items: Any) -> Any:
    """Return the only list of a field, or a value that counts as malformed where there is none."""
    return _NO_LIST if items is None else items
