"""The typed schema of WhatsApp's webhook bodies, limited to the keys that are read.

A Struct names the keys that matter, so that msgspec skips all others without building them. Where another value may
stand in place of an object or a list, the type allows it. So a wrong type is one bad item, never a refused body.
"""

import json
import math
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

_T = TypeVar("_T")

REFUSED: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""The errors of decoders."""

_Scalar: TypeAlias = str | int | float | bool | None
Wrong: TypeAlias = list[Any] | _Scalar
"""The values that may stand in place of an object."""

_MAX_TIMESTAMP: Final = 100_000_000_000  # seconds; above it, it is milliseconds
_LONGEST_DATE: Final = 32
_MAX_INTEGER: Final = 10**30  # a larger number is not an id
_DIGITS: Final = frozenset("0123456789")
_MAX_DIGITS: Final = 40  # of an integer that `clean` keeps


class Anything(msgspec.Struct, gc=False):
    """An object in place of a list."""


class About(msgspec.Struct, gc=False):
    """The reference of a reaction, an edit or a deletion to another message."""

    message_id: Any = None
    original_message_id: Any = None


class Text(msgspec.Struct, gc=False):
    """The body of a text message, not decoded because most texts are too long to be a closing remark."""

    body: msgspec.Raw = msgspec.Raw(b"")


class Kind(msgspec.Struct, gc=False):
    """The body of a message with its own `type`."""

    type: Any = None


class System(msgspec.Struct, gc=False):
    """The identity change in a `system` message, with the old and the new keys."""

    type: Any = None
    wa_id: Any = None
    new_wa_id: Any = None
    customer: Any = None
    user_id: Any = None
    previous_user_id: Any = None
    parent_user_id: Any = None
    previous_parent_user_id: Any = None


class Pricing(msgspec.Struct, gc=False):
    """The price of an outbound message."""

    category: Any = None


class Error(msgspec.Struct, gc=False):
    """One of Meta's errors. Titles change, but the code stays."""

    code: Any = None


class SendBody(msgspec.Struct, gc=False):
    """The body of a send inside an echo of a thread that another responder owns."""

    type: Any = None
    status: Any = None
    to: Any = None
    recipient: Any = None
    recipient_type: Any = None


class MessageItem(msgspec.Struct, gc=False):
    """An item of `messages[]` or `message_echoes[]`."""

    id: Any = None
    type: Any = None
    timestamp: Any = None
    from_: Any = msgspec.field(default=None, name="from")
    from_user_id: Any = None
    from_parent_user_id: Any = None
    to: Any = None
    to_user_id: Any = None
    to_parent_user_id: Any = None
    group_id: Any = None
    text: Text | Wrong = None
    reaction: About | Wrong = None
    edit: About | Wrong = None
    revoke: About | Wrong = None
    system: System | Wrong = None
    interactive: Kind | Wrong = None
    unsupported: Kind | Wrong = None
    message: SendBody | Wrong = None
    errors: list[Anything | Wrong] | Anything | _Scalar = None


class StatusItem(msgspec.Struct, gc=False):
    """An item of `statuses[]`."""

    id: Any = None
    type: Any = None
    status: Any = None
    timestamp: Any = None
    recipient_id: Any = None
    recipient_user_id: Any = None
    recipient_parent_user_id: Any = None
    parent_recipient_user_id: Any = None
    parent_user_id: Any = None
    recipient_type: Any = None
    payment: Any = None
    pricing: Pricing | Wrong = None
    errors: list[Error | Wrong] | Error | _Scalar = None


class PreferenceItem(msgspec.Struct, gc=False):
    """An item of `user_preferences[]`."""

    wa_id: Any = None
    user_id: Any = None
    parent_user_id: Any = None
    category: Any = None
    value: Any = None
    timestamp: Any = None


class ContactItem(msgspec.Struct, gc=False):
    """An item of `contacts[]` with the ids of one person. Each id may be absent."""

    wa_id: Any = None
    user_id: Any = None
    parent_user_id: Any = None


class Metadata(msgspec.Struct, gc=False):
    """The business number that a value is about."""

    phone_number_id: Any = None
    display_phone_number: Any = None


class Standby(msgspec.Struct, gc=False):
    """The traffic of a thread that another responder owns."""

    contacts: list[ContactItem | Wrong] | Anything | _Scalar = None
    message_echoes: list[MessageItem | Wrong] | Anything | _Scalar = None


class Value(msgspec.Struct, gc=False):
    """The value of a change."""

    metadata: Metadata | Wrong = None
    contacts: list[ContactItem | Wrong] | Anything | _Scalar = None
    messages: list[MessageItem | Wrong] | Anything | _Scalar = None
    statuses: list[StatusItem | Wrong] | Anything | _Scalar = None
    message_echoes: list[MessageItem | Wrong] | Anything | _Scalar = None
    user_preferences: list[PreferenceItem | Wrong] | Anything | _Scalar = None
    standby: Standby | Wrong = None


class Change(msgspec.Struct, gc=False):
    """An item of `changes[]`."""

    field: Any = None
    value: Value | Wrong = None


class Entry(msgspec.Struct, gc=False):
    """An item of `entry[]`."""

    id: Any = None
    time: Any = None
    changes: list[Change | Wrong] | Anything | _Scalar = None


class Document(msgspec.Struct, gc=False):
    """A whole body."""

    object: Any = None
    entry: list[Entry | Wrong] | Anything | _Scalar = None


read = msgspec.json.Decoder(Document).decode
read_plain = msgspec.json.Decoder().decode


def read_all(body: bytes) -> Any:
    """Return everything in a body that `read` accepted. Parts that `read` skipped may be invalid for msgspec.

    Raises:
        ValueError, RecursionError, msgspec.MsgspecError: no decoder can read some part of the body.

    """
    try:
        return read_plain(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return read_plain(clean(body))


def text(value: Any) -> str:
    """Return an id or a word as text. Whole numbers are converted, and any other value gives the empty string."""
    if type(value) is str:
        return value
    if type(value) is int and 0 <= value < _MAX_INTEGER:
        return str(value)
    return ""


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list. A single object counts as a list of one object."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def only(value: Any, kind: type[_T]) -> _T | None:
    """Return an object of this kind, or the only object of a list in its place, or None."""
    if type(value) is list and len(value) == 1 and type(value[0]) is dict:
        return msgspec.convert(value[0], kind)
    return value if type(value) is kind else None


def word(value: Any) -> str:
    """Return the text of an open enumeration, cut at a length that no real value reaches."""
    return value[:64] if type(value) is str else text(value)[:64]


def lower_word(value: Any) -> str:
    """Return a `word` in lower case, for the lists that Meta writes so. Pages differ in the case of a word."""
    return word(value).lower()


def digits(value: Any) -> str:
    """Return the digits of a display number for comparison. Meta writes it with or without plus and spaces."""
    return "".join(filter(_DIGITS.__contains__, word(value)))


def seconds(value: Any) -> int | None:
    """Return a time in whole Unix seconds, or None for milliseconds, negative numbers and junk."""
    if type(value) is str:
        # `int` reads every decimal; the limit on the length keeps `int` fast.
        if len(value) > 12 or not value.isdecimal():
            return None
        value = int(value)
    elif type(value) is float and math.isfinite(value):
        value = int(value)
    elif type(value) is not int:
        return None
    return value if 0 <= value <= _MAX_TIMESTAMP else None


def date(value: Any) -> int | None:
    """Return a date in whole Unix seconds, or None for junk. Milliseconds and the Graph API's text are read, too."""
    found = seconds(value)
    if found is None and type(value) is str and len(value) <= _LONGEST_DATE:
        found = seconds(value[:-3]) if value.isdecimal() else _written_date(value)
    elif found is None and type(value) is int and value > _MAX_TIMESTAMP:
        found = seconds(value // 1000)
    return found


def clean(body: bytes) -> bytes:
    """Return the same body as strict JSON. The host's `json` accepts more than msgspec (tests/safety/README.md 13).

    Lone surrogates become question marks. NaN, infinities and numbers that no field can hold become null.

    Raises:
        ValueError: `json` cannot read the body either.
        RecursionError: the body is nested too deeply.

    """
    plain = json.loads(body, parse_int=_integer, parse_float=_finite, parse_constant=_nothing)
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace")


def _written_date(value: str) -> int | None:
    try:
        at = datetime.fromisoformat(value)
        return seconds(int(at.replace(tzinfo=at.tzinfo or UTC).timestamp()))
    except (ValueError, OverflowError):
        return None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def _finite(digits: str) -> float | None:
    number = float(digits)
    return number if math.isfinite(number) else None


def _nothing(_: str) -> None:
    return None
