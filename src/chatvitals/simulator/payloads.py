"""Bodies as WhatsApp writes them: messages, statuses, errors, ids, signatures (whatsapp/README.md 1 to 3, 7)."""

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
    """One item of a webhook: which list of the value it belongs to, the item, and whom it is about."""

    list_name: str  # "messages" or "statuses"
    item: Json
    person: Person


def wamid(person: Person, serial: int, *, inbound: bool) -> str:
    """Return a message id that, like a real one, holds the person's number in base64."""
    number = (person.phone or person.user).encode()
    unique = f"FA4E{serial:016X}".encode() if inbound else f"FA4E{serial:014X}".encode()
    direction = b"\x12" if inbound else b"\x11"
    head = b"\x1c\x18" + bytes([len(number)]) + number + b"\x15\x02\x00"
    return "wamid." + base64.b64encode(head + direction + b"\x18" + bytes([len(unique)]) + unique + b"\x00").decode()


def message(person: Person, message_id: str, content: Json, *, at: float) -> Update:
    """Return an inbound message; `content` holds its `type` and the key named like it, `at` is Unix seconds."""
    item: Json = {"id": message_id, "timestamp": str(int(at)), **content}
    if person.phone:
        item["from"] = person.phone
    if person.user:
        item["from_user_id"] = person.user
    return Update("messages", item, person)


def status(person: Person, message_id: str, name: str, *, at: float, code: int = 0) -> Update:
    """Return a status of an outbound message at `at` (Unix seconds); `code` is the error of a failed one."""
    item: Json = {"id": message_id, "status": name, "timestamp": str(int(at))}
    if person.phone:
        item["recipient_id"] = person.phone
    if person.user:
        item["recipient_user_id"] = person.user
    if name in {"sent", "delivered"}:
        item["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}
    if code:
        item["errors"] = [{"code": code, "title": "Message undeliverable", "message": "Message undeliverable"}]
    return Update("statuses", item, person)


def webhook(number: BusinessNumber, updates: Sequence[Update]) -> bytes:
    """Return the body of one POST with all of `updates`, in their order."""
    value: Json = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.display, "phone_number_id": number.phone_number_id},
    }
    contacts = {u.person.key: _contact(u.person) for u in updates if u.item.get("status") != "failed"}
    if contacts:
        value["contacts"] = list(contacts.values())
    for update in updates:
        value.setdefault(update.list_name, []).append(update.item)
    entry = {"id": number.waba_id, "changes": [{"value": value, "field": "messages"}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def template_quality(number: BusinessNumber, row: Json, *, previous: str, at: float) -> bytes:
    """Return the body of a POST about a changed template: `row` is that of the edge, `at` is Unix seconds."""
    value: Json = {
        "previous_quality_score": previous,
        "new_quality_score": row["quality_score"]["score"],
        "message_template_id": int(row["id"]),
        "message_template_name": row["name"],
        "message_template_language": row["language"],
    }
    changes = [{"value": value, "field": "message_template_quality_update"}]
    entry = {"id": number.waba_id, "time": int(at), "changes": changes}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def signature(app_secret: str, body: bytes) -> str:
    """Return the value of `X-Hub-Signature-256` for these very bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def accepted(person: Person, asked_for: str, message_id: str) -> Json:
    """Return the API's answer to a send that it took; `asked_for` is the recipient as the sender wrote it."""
    contact = {"input": asked_for, **_ids(person)}
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": message_id}]}


def error(code: int, text: str, *, trace: str) -> Json:
    """Return the API's answer to a call that it refused."""
    return {"error": {"message": f"(#{code}) {text}", "type": "OAuthException", "code": code, "fbtrace_id": trace}}


def _contact(person: Person) -> Json:
    return {"profile": {"name": person.name}, **_ids(person)}


def _ids(person: Person) -> Json:
    ids: Json = {}
    if person.phone:
        ids["wa_id"] = person.phone
    if person.user:
        ids["user_id"] = person.user
    return ids
