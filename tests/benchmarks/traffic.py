"""Webhooks as Meta sends them: signed, with distinct message ids, for contacts that take turns."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chatvitals.events import Send
from chatvitals.whatsapp import signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "benchmark-app-secret"
NUMBER = "990005556667778"
BEGIN = 1_795_392_000.0
MESSAGE_BYTES = 600  # of a text message's webhook, as they come from Meta with both ids of a person

_REPLIED_AFTER = 1.0  # seconds after the message, and of the statuses after that
_REQUESTS_A_SECOND = 100.0  # messages, by their timestamps
_CONTACTS = 1000
_STATUS_AFTER = (("sent", 1.5), ("delivered", 2.5), ("read", 3.5))


class Clock:
    """Local time as the traffic tells it: settling windows pass without waiting for them."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        """Return the time in Unix seconds."""
        return self.now


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that is delivered at `at`."""

    at: float
    body: bytes
    scope: dict[str, Any]


def phone(contact: int) -> str:
    """Return a contact's phone id."""
    return f"1556{contact:07d}"  # the business itself displays 1555…: what it writes is no customer's message


def user(contact: int) -> str:
    """Return a contact's business-scoped user id."""
    return f"US.9{contact:019d}"


def messages(first: int, amount: int, contacts: int, per_second: float) -> list[Delivery]:
    """Return `amount` text messages, the first one with the serial number `first`."""
    return [_message(serial, contacts, BEGIN + serial / per_second) for serial in range(first, first + amount)]


def conversations(
    first: int, amount: int, contacts: int, per_second: float, begin: float = BEGIN, numbers: int = 1
) -> list[Delivery | Send]:
    """Return `amount` text messages, each with the bot's reply a second later and its three statuses, in time's order.

    The contacts write to `numbers` business numbers in turn, the first of which is `NUMBER`.
    The replies are events, as the hooks of HTTP clients hand them on: what the bot's client costs is not ours.
    """
    found: list[tuple[float, Delivery | Send]] = []
    for serial in range(first, first + amount):
        at = begin + serial / per_second
        contact, sent = serial % contacts, at + _REPLIED_AFTER
        number = str(int(NUMBER) + contact % numbers)
        found.append((at, _message(serial, contacts, at, number)))
        reply = Send(
            phone_number_id=number,
            wa_id=phone(contact),
            received=sent,
            kind="reply",
            accepted=True,
            seconds=0.2,
            id=_wamid(serial, contact, inbound=False),
        )
        found.append((sent, reply))
        found += ((at + after, _status(serial, contact, at + after, status, number)) for status, after in _STATUS_AFTER)
    found.sort(key=lambda each: each[0])
    return [event for _, event in found]


def requests(first: int, amount: int, numbers: int) -> list[bytes]:
    """Return webhooks of the last minutes' conversations as bytes for a socket. Three in four are statuses."""
    begin = time.time() - (first + amount) / _REQUESTS_A_SECOND  # so that timestamps are like those of real webhooks
    found = conversations(first, amount // 4 + 1, _CONTACTS, _REQUESTS_A_SECOND, begin, numbers)
    return [_request(each) for each in found if isinstance(each, Delivery)][:amount]


def _request(delivery: Delivery) -> bytes:
    head = b"".join(b"%s: %s\r\n" % pair for pair in delivery.scope["headers"])
    return b"POST /webhook HTTP/1.1\r\n" + head + b"\r\n" + delivery.body


def get(path: str) -> dict[str, Any]:
    """Return the scope of a GET."""
    return _scope("GET", path, [(b"host", b"bot.example.com"), (b"accept", b"*/*")])


def _message(serial: int, contacts: int, at: float, number: str = NUMBER) -> Delivery:
    contact = serial % contacts
    item = {
        "from": phone(contact),
        "from_user_id": user(contact),
        "id": _wamid(serial, contact, inbound=True),
        "timestamp": str(int(at)),
        "type": "text",
        "text": {"body": ""},
    }
    person = {"profile": {"name": "Ada Example"}, "wa_id": phone(contact), "user_id": user(contact)}
    bare = len(_body({"contacts": [person], "messages": [item]}, number))
    item["text"] = {"body": "hello again "[: max(MESSAGE_BYTES - bare, 1)].ljust(MESSAGE_BYTES - bare, ".")}
    return _signed(at, _body({"contacts": [person], "messages": [item]}, number))


def _status(serial: int, contact: int, at: float, status: str, number: str) -> Delivery:
    item: dict[str, Any] = {
        "id": _wamid(serial, contact, inbound=False),
        "status": status,
        "timestamp": str(int(at)),
        "recipient_id": phone(contact),
        "recipient_user_id": user(contact),
    }
    if status != "read":
        item["pricing"] = {
            "billable": False,
            "pricing_model": "PMP",
            "type": "free_customer_service",
            "category": "service",
        }
    return _signed(at, _body({"statuses": [item]}, number))


def _wamid(serial: int, contact: int, *, inbound: bool) -> str:
    unique = f"3EB0{serial:016X}" if inbound else f"FA4E{serial:014X}"
    return "wamid." + base64.b64encode(f"\x1c\x18\x0b{phone(contact)}\x15\x02\0{unique}\0".encode()).decode()


def _body(parts: dict[str, Any], number: str) -> bytes:
    metadata = {"display_phone_number": "15550001234", "phone_number_id": number}
    value = {"messaging_product": "whatsapp", "metadata": metadata, **parts}
    entry = {"id": "990001112223334", "changes": [{"value": value, "field": "messages"}]}
    document = {"object": "whatsapp_business_account", "entry": [entry]}
    return json.dumps(document, separators=(",", ":")).encode()


def _signed(at: float, body: bytes) -> Delivery:
    return Delivery(at, body, _scope("POST", "/webhook", list(_headers(body))))


def _headers(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    yield b"host", b"bot.example.com"
    yield b"user-agent", b"facebookexternalua"
    yield b"accept", b"*/*"
    yield b"accept-encoding", b"deflate, gzip"
    yield b"content-type", b"application/json"
    yield b"content-length", str(len(body)).encode()
    yield b"x-hub-signature-256", signatures.sign(body, SECRET).encode()


def _scope(method: str, path: str, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
    }
