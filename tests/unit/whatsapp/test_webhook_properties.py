from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.events import Echo, Message, Status, Webhook
from chatvitals.whatsapp import webhook_parser
from chatvitals.whatsapp.enums import KNOWN_FIELDS
from tests.helpers.examples import examples

ADA, ADA_ID, GRACE = "15550004321", "US.90000000000000000001", "15550005678"

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["\ud83d", ADA, "sent"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def shaped(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of these keys, or junk instead of any value or of the whole."""
    return st.fixed_dictionaries({}, optional={key: value | junk for key, value in keys.items()}) | junk


ids = st.sampled_from([ADA, ADA_ID, GRACE, "", None, 5])
kinds = st.sampled_from(["text", "system", "reaction", "edit", "revoke", "unsupported"])
changed = st.sampled_from(["user_changed_number", "user_changed_user_id"])
items = shaped(
    **{"from": ids, "group_id": ids, "id": ids, "status": kinds, "type": kinds, "value": kinds, "category": kinds},
    **dict.fromkeys(("from_user_id", "to", "to_user_id", "recipient_id", "recipient_user_id", "wa_id", "user_id"), ids),
    timestamp=st.integers(),
    errors=st.lists(shaped(code=st.integers())),
    pricing=shaped(category=kinds),
    reaction=shaped(message_id=ids),
    edit=shaped(original_message_id=ids),
    system=shaped(type=changed, wa_id=ids, user_id=ids, previous_user_id=ids),
)
lists = ("contacts", "messages", "statuses", "message_echoes", "user_preferences")
values = shaped(
    metadata=shaped(phone_number_id=ids, display_phone_number=ids),
    **{name: st.lists(items, max_size=3) for name in lists},
)
fields = st.sampled_from(sorted(KNOWN_FIELDS)) | st.sampled_from(["messages", "smb_message_echoes", "user_preferences"])
bodies = shaped(
    entry=st.lists(shaped(id=ids, time=st.integers(), changes=st.lists(shaped(field=fields, value=values), max_size=3)))
)


def check(webhook: Webhook) -> None:
    """Assert what holds for every webhook: words can be encoded, times are times, nothing is negative."""
    assert webhook.malformed >= 0
    json.dumps(
        [[getattr(e, name) for name in e.__struct_fields__] for e in webhook.events], ensure_ascii=False
    ).encode()
    json.dumps([webhook.numbers, [name for name, _ in webhook.fields]], ensure_ascii=False).encode()
    for event in webhook.events:
        if isinstance(event, Message | Status | Echo):
            assert event.id
            assert event.phone_number_id


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(body: bytes) -> None:
    """Arbitrary bytes are a webhook or undecodable, never an error (tests/safety/README.md 1)."""
    check(webhook_parser.decode(body))


@examples(400)
@given(bodies, st.booleans())
def test_no_json_makes_it_raise(body: Any, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis fills it in
    """Bodies that are almost webhooks are read as far as they go. A list of entries is always accepted."""
    webhook = webhook_parser.decode(json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    check(webhook)
    accepted = isinstance(body, dict) and isinstance(body.get("entry"), list)
    assert webhook.result == ("accepted" if accepted else "undecodable")


people = st.integers(0, 4)
shown = st.sampled_from(["phone", "user", "both"])
single = st.tuples(st.sampled_from(lists[1:]), people, shown, st.sampled_from(["1", "2"]))
FIELD_OF = {"message_echoes": "smb_message_echoes", "user_preferences": "user_preferences"}
KEYS_OF = {"messages": ("from", "from_user_id"), "statuses": ("recipient_id", "recipient_user_id"),
           "message_echoes": ("to", "to_user_id"), "user_preferences": ("wa_id", "user_id")}  # fmt: skip


def body_of(singles: list[tuple[int, tuple[str, int, str, str]]]) -> bytes:
    """Return one POST with all of these items, those of one number and field in one value."""
    grouped: dict[tuple[str, str], dict[str, Any]] = {}
    for serial, (name, person, ids_shown, number) in singles:
        field = FIELD_OF.get(name, "messages")
        value = grouped.setdefault((number, field), {"metadata": {"phone_number_id": number}, "contacts": []})
        phone, user = KEYS_OF[name]
        item: dict[str, Any] = {"id": f"wamid.{serial}", "timestamp": str(serial)}
        item |= {"status": "sent"} if name == "statuses" else {"type": "text"}
        item |= {"value": "stop", "category": str(serial)} if name == "user_preferences" else {}
        item |= {phone: str(100 + person)} if ids_shown != "user" else {}
        item |= {user: f"US.{person}"} if ids_shown != "phone" else {}
        value.setdefault(name, []).append(item)
        if person % 2:
            value["contacts"].append({"wa_id": str(100 + person), "user_id": f"US.{person}"})
    entries = [{"id": "W", "changes": [{"field": f, "value": value}]} for (_, f), value in grouped.items()]
    return json.dumps({"entry": entries}).encode()


@given(st.lists(single, max_size=12))
def test_a_batch_gives_what_its_items_give_one_by_one(items: list[tuple[str, int, str, str]]) -> None:
    """How Meta packs updates into POSTs changes nothing (conversations/README.md 5)."""
    numbered = list(enumerate(items))
    together = webhook_parser.decode(body_of(numbered))
    alone = [webhook_parser.decode(body_of([item])) for item in numbered]
    assert together.malformed == sum(webhook.malformed for webhook in alone) == 0
    assert sorted(map(repr, together.events)) == sorted(repr(e) for webhook in alone for e in webhook.events)
    assert len(together.events) == len(items)
