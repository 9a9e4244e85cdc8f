"""Builders of bodies in WhatsApp's format, for simulator, scenarios and tests (whatsapp/README.md 1 to 3, 7)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.simulator.people import BusinessNumber, Person

Json = dict[str, Any]


class Update(NamedTuple):
    """One item of a webhook, with the name of its list and its person."""

    list_name: str  # "messages" or "statuses"
    item: Json
    person: Person


def wamid(person: Person, serial: int, *, inbound: bool) -> str:
    """Return a message id that holds the person's number in base64, like a real id."""
    unique = f"FA4E{serial:016X}" if inbound else f"FA4E{serial:014X}"
    return named_wamid(person.phone or person.user, unique, inbound=inbound)


def named_wamid(number: str, name: str, *, inbound: bool) -> str:
    """Return the message id of a name. The same number and name give the same id."""
    owner, unique = number.encode(), name.encode()
    direction = b"\x12" if inbound else b"\x11"
    head = b"\x1c\x18" + bytes([len(owner)]) + owner + b"\x15\x02\x00"
    return "wamid." + base64.b64encode(head + direction + b"\x18" + bytes([len(unique)]) + unique + b"\x00").decode()


def message(person: Person, message_id: str, content: Json, *, at: float) -> Update:
    """Return an inbound message. `content` holds its `type` and the key of this name. `at` is Unix seconds."""
    item: Json = {"id": message_id, "timestamp": str(int(at)), **content, **ids(person, "from", "from_user_id")}
    return Update("messages", item, person)


def status(
    person: Person, message_id: str, name: str, *, at: float, category: str = "", code: int | None = None
) -> Update:
    """Return a status of an outbound message.

    Args:
        person: the recipient.
        message_id: id of the message.
        name: `sent`, `delivered`, `read`, `played` or `failed`.
        at: time of the status, in Unix seconds.
        category: price category. The empty string leaves the price out.
        code: error code of a failed message.

    """
    item: Json = {"id": message_id, "status": name, "timestamp": str(int(at))}
    item |= ids(person, "recipient_id", "recipient_user_id")
    if category:
        item["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}
    if code is not None:
        item["errors"] = [{"code": code, "title": "Message undeliverable", "message": "Message undeliverable"}]
    return Update("statuses", item, person)


def webhook(number: BusinessNumber, updates: Sequence[Update]) -> bytes:
    """Return the body of one POST with all of `updates`, in their order."""
    value = value_of(number.phone_number_id, number.display)
    contacts = {u.person.key: contact(u.person) for u in updates if u.item.get("status") != "failed"}
    if contacts:
        value["contacts"] = list(contacts.values())
    for update in updates:
        value.setdefault(update.list_name, []).append(update.item)
    return json.dumps(envelope([(number.waba_id, "messages", value)])).encode()


def envelope(changes: Sequence[tuple[str, str, Json]]) -> Json:
    """Return a webhook of changes, each given as account id, field and value, in their order."""
    entries = [{"id": account, "changes": [{"field": field, "value": value}]} for account, field, value in changes]
    return {"object": "whatsapp_business_account", "entry": entries}


def value_of(phone_number_id: str, display: str) -> Json:
    """Return the start of a value with the business number that it is about."""
    metadata = {"display_phone_number": display, "phone_number_id": phone_number_id}
    return {"messaging_product": "whatsapp", "metadata": metadata}


def template_quality(number: BusinessNumber, row: Json, *, previous: str, at: float) -> bytes:
    """Return the body of a POST about a changed template. `row` is a row of the edge, `at` is Unix seconds."""
    value: Json = {
        "previous_quality_score": previous,
        "new_quality_score": row["quality_score"]["score"],
        "message_template_id": int(row["id"]),
        "message_template_name": row["name"],
        "message_template_language": row["language"],
    }
    body = envelope([(number.waba_id, "message_template_quality_update", value)])
    body["entry"][0]["time"] = int(at)
    return json.dumps(body).encode()


def signature(app_secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256` for exactly these bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def accepted(person: Person, asked_for: str, message_id: str) -> Json:
    """Return the API's answer to an accepted send.

    Args:
        person: the recipient.
        asked_for: the recipient in the sender's spelling.
        message_id: the id of the message. The empty string leaves the list of messages empty.

    """
    found = {"input": asked_for, **ids(person, "wa_id", "user_id")}
    messages = [{"id": message_id}] if message_id else []
    return {"messaging_product": "whatsapp", "contacts": [found], "messages": messages}


def error(code: int, text: str, *, trace: str) -> Json:
    """Return the API's answer to a refused call."""
    return {"error": {"message": f"(#{code}) {text}", "type": "OAuthException", "code": code, "fbtrace_id": trace}}


def contact(person: Person) -> Json:
    """Return a person in the form of the list `contacts`."""
    return {"profile": {"name": person.name}, **ids(person, "wa_id", "user_id")}


def ids(person: Person, phone_key: str, user_key: str) -> Json:
    """Return the ids of a person under the given keys. Ids that WhatsApp does not show are left out."""
    shown = {phone_key: person.phone, user_key: person.user}
    return {key: value for key, value in shown.items() if value}
