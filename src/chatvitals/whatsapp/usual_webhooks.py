"""The quick conversion of the usual webhook: one message or one status, with nothing special about it.

Nearly all webhooks are of this shape. A strict schema accepts this shape alone, so the few lines here need no checks of
types. For any other body the answer is None, and `webhook_parser` reads it with all its rules. For the usual shape both
give equal results, which tests/unit/whatsapp/test_usual_webhooks.py shows.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from chatvitals.events import Message, Status, Webhook
from chatvitals.whatsapp import message_kinds
from chatvitals.whatsapp.closing_remarks import ClosingRemarks
from chatvitals.whatsapp.enums import ADDS_NO_MESSAGE, MESSAGE_FIELD, MESSAGE_STATUS_TYPES, MESSAGE_TYPES
from chatvitals.whatsapp.schema import REFUSED, Kind, Text, seconds

_KINDS: Final = MESSAGE_TYPES - ADDS_NO_MESSAGE - {"unsupported"}
_COUNTED: Final = (MESSAGE_FIELD, True)

_Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]  # a longer one is cut, see `schema.word`
_Given: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
_GivenWord: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class _MessageItem(msgspec.Struct, gc=False):
    id: _Given
    type: _Word
    timestamp: str = ""
    from_: str = msgspec.field(default="", name="from")
    from_user_id: str = ""
    text: Text | None = None
    interactive: Kind | None = None
    from_parent_user_id: None = None
    to: None = None
    to_user_id: None = None
    group_id: None = None
    reaction: None = None
    edit: None = None
    revoke: None = None
    system: None = None
    unsupported: None = None
    message: None = None
    errors: None = None


class _Pricing(msgspec.Struct, gc=False):
    category: _Word = ""


class _StatusItem(msgspec.Struct, gc=False):
    id: _Given
    status: _GivenWord
    timestamp: str = ""
    recipient_id: str = ""
    recipient_user_id: str = ""
    type: _Word = ""
    pricing: _Pricing | None = None
    recipient_parent_user_id: None = None
    parent_recipient_user_id: None = None
    parent_user_id: None = None
    recipient_type: None = None
    payment: None = None
    errors: None = None


class _Contact(msgspec.Struct, gc=False):
    wa_id: str = ""
    user_id: str = ""
    parent_user_id: None = None


class _Metadata(msgspec.Struct, gc=False):
    phone_number_id: _GivenWord
    display_phone_number: _GivenWord


class _Value(msgspec.Struct, gc=False):
    metadata: _Metadata
    contacts: tuple[_Contact] | None = None
    messages: tuple[_MessageItem] | None = None
    statuses: tuple[_StatusItem] | None = None
    message_echoes: None = None
    user_preferences: None = None
    standby: None = None


class _Change(msgspec.Struct, gc=False):
    field: Literal["messages"]
    value: _Value


class _Entry(msgspec.Struct, gc=False):
    changes: tuple[_Change]
    id: Any = None
    time: Any = None


class _Document(msgspec.Struct, gc=False):
    object: Literal["whatsapp_business_account"]
    entry: tuple[_Entry]


_decode = msgspec.json.Decoder(_Document).decode


def read(body: bytes, received: float, closings: ClosingRemarks) -> Webhook | None:
    """Return the events of one POST, or None where it is not of the usual shape. It never raises.

    Args:
        body: the request's body.
        received: time of arrival in Unix seconds of the local clock.
        closings: the detector of closing remarks.

    """
    try:
        value = _decode(body).entry[0].changes[0].value
    except REFUSED:
        return None
    number, display = value.metadata.phone_number_id, value.metadata.display_phone_number
    if not (display.isdecimal() and display.isascii()):
        return None
    event: Message | Status | None = None
    if value.statuses is None:
        if value.messages is not None:
            event = _message(number, value.messages[0], value.contacts, received, closings)
    elif value.messages is None:
        event = _status(number, value.statuses[0], value.contacts, received)
    if event is None:
        return None
    return Webhook(
        result="accepted", received=received, events=[event], fields={_COUNTED: 1}, numbers={number: display}
    )


def _message(
    number: str, item: _MessageItem, contacts: tuple[_Contact] | None, received: float, closings: ClosingRemarks
) -> Message | None:
    kind, phone, user = item.type, item.from_, item.from_user_id
    if kind not in _KINDS:
        return None
    if contacts is not None:
        contact = contacts[0]
        phone, user = phone or contact.wa_id, user or contact.user_id
        if (contact.wa_id and contact.wa_id != phone) or (contact.user_id and contact.user_id != user):
            return None  # the contact may show other ids of the sender
    return Message(
        phone_number_id=number,
        wa_id=phone,
        user_id=user,
        received=received,
        id=item.id,
        type=kind,
        timestamp=seconds(item.timestamp),
        closing=kind == "text" and item.text is not None and closings.match_json(item.text.body),
        adds_nothing=kind == "interactive" and message_kinds.interactive_adds_nothing(item.interactive),
    )


def _status(number: str, item: _StatusItem, contacts: tuple[_Contact] | None, received: float) -> Status | None:
    phone, user = item.recipient_id, item.recipient_user_id
    if contacts is not None and not (phone and user):
        contact = contacts[0]
        if not phone or contact.wa_id != phone:
            return None  # the contact may be another person
        user = contact.user_id
    if item.type and item.type.lower() not in MESSAGE_STATUS_TYPES:
        return None
    return Status(
        phone_number_id=number,
        wa_id=phone,
        user_id=user,
        received=received,
        id=item.id,
        status=item.status.lower(),
        timestamp=seconds(item.timestamp),
        category=item.pricing.category if item.pricing is not None else "",
    )
