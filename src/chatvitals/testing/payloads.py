"""Conversion of a scenario's steps to the bodies that WhatsApp or the bot would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.events import Poll
from chatvitals.simulator import payloads
from chatvitals.simulator.people import Person
from chatvitals.testing.fixtures import NAMES, Place, person, place, waba, wamid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Step = dict[str, Any]
EPOCH = 1_795_392_000

_BODIES: dict[str, dict[str, Any]] = {
    "text": {"body": "hello"},
    "image": {"id": "990030000000001", "mime_type": "image/jpeg", "sha256": "AAEC"},
    "audio": {"id": "990030000000002", "mime_type": "audio/ogg", "voice": True},
    "interactive": {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}},
    "button": {"payload": "yes", "text": "Yes"},
    "location": {"latitude": 1.5, "longitude": 2.5},
}


def webhook(steps: Iterable[Step], now: float) -> dict[str, Any]:
    """Return one POST's body with the items of `steps`, received at `now` (seconds since the epoch)."""
    values: dict[tuple[str, str, str], dict[str, Any]] = {}
    for step in steps:
        where = place(step.get("number", "N1"))
        field = _field(step)
        value = values.setdefault((where.waba, field, where.phone_number_id), _value(where))
        _add(value, step, now, field)
    return payloads.envelope([(account, field, value) for (account, field, _), value in values.items()])


def send(step: Step) -> tuple[str, dict[str, Any]]:
    """Return the path and the JSON body of the bot's call for a `send` step."""
    form = step["send"]
    who = person(step["contact"])
    path = f"/v26.0/{place(step.get('number', 'N1')).phone_number_id}/"
    path += "marketing_messages" if form == "marketing" else "messages"
    body: dict[str, Any] = {"messaging_product": "whatsapp"}
    if form in {"read", "typing"}:
        body |= {"status": "read", "message_id": wamid(who.phone, "read")}
        if form == "typing":
            body["typing_indicator"] = {"type": "text"}
        return path, body
    body |= {"recipient": who.user} if step.get("ids") == "bsuid" else {"to": _phone(step)}
    if form in {"template", "marketing"}:
        template = {"name": step.get("template", "order_ready"), "language": {"code": step.get("language", "en")}}
        body |= {"type": "template", "template": template}
    elif form == "reaction":
        body |= {"type": "reaction", "reaction": {"message_id": wamid(who.phone, "m1"), "emoji": "\U0001f44d"}}
    else:
        body |= {"type": form, form: _BODIES.get(form, {"id": "990030000000009"})}
    return path, body


def answer(step: Step) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON body of the API's answer to a `send` step."""
    if "rejected" in step:
        return 400, payloads.error(step["rejected"], "made up", trace="A")
    if step["send"] in {"read", "typing"}:
        return 200, {"success": True}
    shown = _shown(step)
    return 200, payloads.accepted(shown, shown.phone or shown.user, message_id(step) if "id" in step else "")


def poll(step: Mapping[str, Any]) -> Poll:
    """Return the poll of a `poll` step, with display numbers in the Graph API's format."""
    rows = None
    if "numbers" in step:
        rows = []
        for row in step["numbers"]:
            where = place(row.get("number", "N1"))
            display = f"+{where.display[0]} {where.display[1:4]}-{where.display[4:7]}-{where.display[7:]}"
            names = {"id": where.phone_number_id, "display_phone_number": display, "verified_name": "Example Ltd"}
            rows.append({**names, **{key: value for key, value in row.items() if key != "number"}})
    return Poll(waba_id=waba(step["waba"]), numbers=rows, templates=step.get("templates"), account=step.get("account"))


def senders(body: Mapping[str, Any]) -> set[str]:
    """Return the letters of the senders in a raw body. A sender without a letter is left out."""
    found: set[str] = set()
    for entry in _objects(body.get("entry")):
        for change in _objects(entry.get("changes")):
            value = change.get("value")
            for item in _objects(value.get("messages") if isinstance(value, dict) else None):
                ids = {item.get("from"), item.get("from_user_id")} - {None}
                found.update(name for name in NAMES if ids & set(person(name)))
    return found


def _objects(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def message_id(step: Step) -> str:
    """Return the message id that a step names for its contact."""
    return wamid(person(step["contact"]).phone, step["id"])


def _field(step: Mapping[str, Any]) -> str:
    if "echo" in step:
        return "smb_message_echoes"
    if "preference" in step:
        return "user_preferences"
    return str(step.get("field", "messages"))


def _value(where: Place) -> dict[str, Any]:
    return payloads.value_of(where.phone_number_id, where.display)


def _add(value: dict[str, Any], step: Step, now: float, field: str) -> None:
    timestamp = EPOCH + int(step.get("ts", now // 1))
    if step.get("bad") == "message":
        value.setdefault("messages", []).append("garbage")
    elif "in" in step:
        holder = value.setdefault("standby", {}) if field == "standby" else value
        holder.setdefault("messages", []).append(_message(step, timestamp))
        if step["in"] != "system":
            contact = payloads.contact(_shown(step))
            if contact not in value.setdefault("contacts", []):
                value["contacts"].append(contact)
    elif "status" in step:
        value.setdefault("statuses", []).append(_status(step, timestamp))
    elif "echo" in step:
        echo = {"from": value["metadata"]["display_phone_number"], **payloads.ids(_shown(step), "to", "to_user_id"),
                "id": message_id(step), "timestamp": str(timestamp), "type": step["echo"]}  # fmt: skip
        echo[step["echo"]] = _BODIES.get(step["echo"], {})
        value.setdefault("message_echoes", []).append(echo)
    elif "preference" in step:
        category = step.get("category", "marketing_messages")
        ids = payloads.ids(_shown(step), "wa_id", "user_id")
        item = {**ids, "detail": "made up", "category": category,
                "value": step["preference"], "timestamp": timestamp}  # fmt: skip
        value.setdefault("user_preferences", []).append(item)
        value.setdefault("contacts", []).append(ids)
    else:
        raise ValueError(f"a step of a kind that this version does not know: {sorted(step)}")


def _message(step: Step, timestamp: int) -> dict[str, Any]:
    kind = step["in"]
    item: dict[str, Any] = {"id": message_id(step), "timestamp": str(timestamp), "type": kind}
    if kind == "system":
        before = person(step["contact"])
        after = person(step["to"])
        if step["change"] == "number":
            changed = {"type": "user_changed_number", "wa_id": after.phone, "body": "made up"}
            return {**item, "from": _phone(step), "system": changed}
        changed = {"type": "user_changed_user_id", "previous_user_id": before.user, "user_id": after.user}
        return {**item, "system": changed}
    item |= payloads.ids(_shown(step), "from", "from_user_id")
    if step.get("group"):
        item["group_id"] = "EXAMPLEGROUPID0001"
    of = wamid(person(step["contact"]).phone, step["of"]) if "of" in step else ""
    if kind == "reaction":
        item["reaction"] = {"message_id": of, "emoji": "\U0001f44d"}
    elif kind == "edit":
        item["edit"] = {"original_message_id": of, "message": {"type": "text", "text": {"body": "better"}}}
    elif kind == "revoke":
        item["revoke"] = {"original_message_id": of}
    elif kind == "unsupported":
        item |= {"errors": [{"code": 131051, "title": "made up"}], "unsupported": {"type": "poll"}}
    elif kind == "text":
        item[kind] = {"body": step.get("text", "hello")}
    else:
        item[kind] = _BODIES.get(kind, {"id": "990030000000003"})
    return item


def _status(step: Step, timestamp: int) -> dict[str, Any]:
    category, code = step.get("category", ""), step.get("code")
    return payloads.status(
        _shown(step), message_id(step), step["status"], at=timestamp, category=category, code=code
    ).item


def _shown(step: Step) -> Person:
    """Return the contact of a step with the ids that the step shows."""
    which = step.get("ids", "both")
    return Person(
        "Ada Example",
        phone="" if which == "bsuid" else _phone(step),
        user="" if which == "phone" else person(step["contact"]).user,
    )


def _phone(step: Step) -> str:
    """Return the phone of a step's contact, or the other spelling that the step gives."""
    return str(step.get("phone") or person(step["contact"]).phone)
