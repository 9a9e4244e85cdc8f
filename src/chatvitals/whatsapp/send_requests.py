"""Recognition of sends among a client's requests, and parsing of the API's answers."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any
from urllib.parse import parse_qsl

import msgspec

# No host list: proxies and partners speak the same API under their own names (whatsapp/README.md 7.3).
_MARKETING_ENDPOINTS = {"messages": False, "marketing_messages": True}
MAX_BYTES = 1024 * 1024  # a send or its answer is a few kB; more than this is something else
_MOST_FIELDS = 100  # of a form
_SHORTEST_NUMBER = 10  # digits of a `phone_number_id`
_OBJECTS = frozenset({"template", "typing_indicator"})  # the objects whose content is read
_HELD = frozenset({"held_for_quality_assessment", "paused"})
_MARKS = ("status", "typing_indicator")
_GZIP = b"\x1f\x8b"  # the first bytes of a body that is packed by gzip
_ANY_HEADER = 47  # zlib's number for a header of gzip or of zlib
_NOT_DIGITS = re.compile(r"[^0-9]+")

_UNREACHED = frozenset({"NewConnectionError", "SSLError", "gaierror"})  # urllib3's first is a timeout to Python
_TIMEOUTS = frozenset({"TimeoutError", "TimeoutException", "Timeout"})
_CONNECTIONS = frozenset(
    {
        "ConnectionError",
        "NetworkError",
        "ProtocolError",
        "ProxyError",
        "ChunkedEncodingError",
        "IncompleteRead",
        "ClientConnectionError",
        "ClientPayloadError",
    }
)


class Attempt(msgspec.Struct, frozen=True):
    """A request that sends, marks or reacts. An unknown id is the empty string."""

    number: str
    phone: str
    user: str
    type: str
    template: str
    language: str
    mark: bool
    """Whether it is a read mark or a typing indicator, which is no new message."""
    marketing: bool
    """Whether it goes to the endpoint for marketing messages."""
    group: str = ""
    """The group that it goes to. A group is not a contact."""


class SendAnswer(msgspec.Struct, frozen=True):
    """The content of an answer's body. A missing value is the empty string."""

    id: str = ""
    phone: str = ""
    user: str = ""
    code: str = ""
    held: bool = False
    """Whether WhatsApp holds the message back until it has assessed the quality of its template."""


def is_endpoint(method: object, url: object) -> bool:
    """Return whether method and address of a request can belong to a send. It costs one dictionary look-up."""
    if not isinstance(method, str) or not isinstance(url, str):
        return False
    return _path(url)[2] in _MARKETING_ENDPOINTS and method.upper() == "POST"


def names_number(url: str) -> bool:
    """Return whether an address names a business number, as WhatsApp's own do."""
    number = _segments(url)[0]
    return len(number) >= _SHORTEST_NUMBER and number.isascii() and number.isdecimal()


def recognise(method: str, url: str, body: object) -> Attempt | None:
    """Return the send in a request, or None where the request is not a call of the WhatsApp API.

    Args:
        method: the HTTP method.
        url: the whole address or its path.
        body: bytes or text of JSON or a form, or a dict that will become one. Bytes may be packed by gzip. Streams and
            files are not read.

    """
    if not is_endpoint(method, url):
        return None
    fields = _fields(body)
    if fields is None:
        return None
    number, endpoint = _segments(url)
    is_group = _text(fields.get("recipient_type")).lower() == "group"
    phone, user = ("", "") if is_group else _person(fields)
    template = fields.get("template")
    named = template if isinstance(template, dict) else {}
    language = named.get("language")
    return Attempt(
        number=number if number.isascii() and number.isdecimal() else "",
        phone=phone,
        user=user,
        type=_text(fields.get("type")).lower() or ("template" if named else "text"),
        template=_text(named.get("name")),
        language=_text(language.get("code")) if isinstance(language, dict) else "",
        mark=any(fields.get(name) is not None for name in _MARKS),
        marketing=_MARKETING_ENDPOINTS[endpoint],
        group=_text(fields.get("to")) if is_group else "",
    )


def read_answer(content: bytes | None) -> SendAnswer:
    """Return the content of an answer's body. A body that is too long or not JSON gives an empty answer."""
    if content is None or len(content) > MAX_BYTES:
        return SendAnswer()
    answer = _decoded(content)
    if not isinstance(answer, dict):
        return SendAnswer()
    message, contact = _first(answer.get("messages")), _first(answer.get("contacts"))
    error = _first(answer.get("error") or answer.get("errors"))  # some proxies give a list
    return SendAnswer(
        id=_text(message.get("id")),
        phone=_digits(_text(contact.get("wa_id"))),
        user=_text(contact.get("user_id")),
        code=_code(error.get("code")),
        held=_text(message.get("message_status")).lower() in _HELD,
    )


def unpacked(body: bytes | bytearray) -> bytes:
    """Return the content of a packed body, as far as it fits into a send or its answer."""
    try:
        return zlib.decompressobj(_ANY_HEADER).decompress(body, MAX_BYTES)
    except zlib.error:
        return b""


def transport_error(error: BaseException) -> str:
    """Return the kind of an exception that ended a call: timeout, connection, cancelled or error.

    It compares the names of classes, so that no client library has to be imported.
    """
    if not isinstance(error, Exception):  # asyncio's and trio's cancellation, and the end of the process
        return "cancelled"
    names = {kind.__name__ for kind in type(error).__mro__}
    if "MaxRetryError" in names and isinstance(reason := getattr(error, "reason", None), Exception):
        return transport_error(reason)
    if names & _UNREACHED:
        return "connection"
    if names & _TIMEOUTS:  # first, because a connection that timed out matches both sets
        return "timeout"
    return "connection" if names & _CONNECTIONS else "error"


def http_status(error: BaseException) -> int | None:
    """Return the HTTP status of an exception from `raise_for_status`, or None."""
    for holder, name in ((error, "status"), (getattr(error, "response", None), "status_code")):
        status = getattr(holder, name, None)
        if isinstance(status, int) and 100 <= status < 600:
            return int(status)
    return None


def _segments(url: str) -> tuple[str, str]:
    """Return the last two segments of the path of `url`. A slash that is doubled by mistake counts once."""
    rest, _, last = _path(url)
    return rest.rstrip("/").rpartition("/")[2], last


def _path(url: str) -> tuple[str, str, str]:
    """Return the path of `url`, divided before its last segment."""
    return url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")


def _fields(body: object) -> dict[Any, Any] | None:
    """Return the JSON object that `body` is or will become, if it belongs to the WhatsApp API."""
    if isinstance(body, (bytes, bytearray)) and body.startswith(_GZIP) and len(body) <= MAX_BYTES:
        body = unpacked(body)
    fields = body
    if isinstance(body, (str, bytes, bytearray)):
        if len(body) > MAX_BYTES or not _mentions_whatsapp(body):
            return None
        fields = _decoded(body)
        if fields is None:
            fields = _form(body)
    if isinstance(fields, dict) and _text(fields.get("messaging_product")).lower() == "whatsapp":
        return {name: _inner(value) if name in _OBJECTS else value for name, value in fields.items()}
    return None


def _mentions_whatsapp(body: str | bytes | bytearray) -> bool:
    """Return whether a body can belong to the WhatsApp API. Meta takes its name in any case."""
    if isinstance(body, str):
        return "whatsapp" in body or "whatsapp" in body.lower()  # only foreign bodies pay for a copy
    return b"whatsapp" in body or b"whatsapp" in body.lower()


def _form(body: str | bytes | bytearray) -> dict[str, str] | None:
    """Return the fields of a form, or None. In forms, Meta accepts JSON text in place of objects."""
    try:
        text = body if isinstance(body, str) else bytes(body).decode("ascii")
        return dict(parse_qsl(text, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return None


def _inner(value: object) -> object:
    """Return the object that a form carries as JSON text."""
    if not isinstance(value, str):
        return value
    inner = _decoded(value)
    return value if inner is None else inner


def _decoded(text: str | bytes | bytearray) -> object:
    """Return the JSON value of `text`, or None."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        return json.loads(text)  # accepts NaN and lone surrogates, which the bot's encoder may write
    except (ValueError, RecursionError):
        return None


def _person(fields: dict[Any, Any]) -> tuple[str, str]:
    """Return the phone and the business-scoped id of the recipient."""
    to, user = _text(fields.get("to")), _text(fields.get("recipient"))
    country, dot, _ = to.partition(".")
    if dot and country.isalpha():  # answered with 200, although nothing is delivered (whatsapp/README.md 7.1)
        return "", user or to
    return _digits(to), user


def _first(items: object) -> dict[Any, Any]:
    """Return the first object of a list, or the only object where there is no list."""
    first = items[0] if isinstance(items, list) and items else items
    return first if isinstance(first, dict) else {}


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _digits(phone: str) -> str:
    """Return a phone number as in webhooks, with digits alone."""
    return _NOT_DIGITS.sub("", phone)


def _code(value: object) -> str:
    code = _text(value)
    return code if code.isascii() and code.isdecimal() and len(code) < 10 else ""
