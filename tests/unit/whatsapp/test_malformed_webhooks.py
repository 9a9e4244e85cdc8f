"""A bad item costs one counted item, and no body makes the parser raise."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Any

import pytest

from chatvitals.events import Echo, Message, Preference, Status, Webhook
from chatvitals.whatsapp import webhook_parser
from tests.helpers.webhook_bodies import ADA, METADATA, message, one, post


def test_one_bad_item_costs_one_counted_item() -> None:
    """Bad items in the lists are counted, and good items are read (conversations/README.md 5)."""
    junk: list[Any] = ["garbage", 5, None, 1.5, True, [], [{}], {}, {"id": ""}, {"id": []}]
    statuses = [{"id": "wamid.2"}, {"status": "read"}, {"id": "wamid.2", "status": "read"}]
    webhook = webhook_parser.decode(post(messages=[*junk, message(), *junk], statuses=statuses))
    assert [type(e) for e in webhook.events] == [Message, Status]
    assert (webhook.malformed, webhook.fields) == (22, {("messages", True): 1})
    echoes = webhook_parser.decode(post("smb_message_echoes", message_echoes=[*junk, message()]))
    assert ([type(e) for e in echoes.events], echoes.malformed) == ([Echo], 10)
    preferences = [{"wa_id": ADA, "category": "x"}, {"wa_id": ADA, "value": "stop"}]
    wishes = webhook_parser.decode(post("user_preferences", user_preferences=preferences))
    assert ([type(e) for e in wishes.events], wishes.malformed) == ([Preference], 1)


@pytest.mark.parametrize("metadata", [None, {}, [], "x", {"phone_number_id": ""}, {"phone_number_id": {}}])
def test_items_of_an_unknown_number_are_malformed(metadata: Any) -> None:
    """Without `phone_number_id` the conversation has no number."""
    webhook = webhook_parser.decode(post(metadata=metadata, messages=[message(), message()]))
    assert (webhook.events, webhook.malformed) == ([], 2)


@pytest.mark.parametrize(
    ("change", "field", "known"),
    [
        ({"field": "messages", "value": []}, "messages", True),
        ({"field": "flows"}, "flows", True),
        ({"field": "flows", "value": "x"}, "flows", True),
        ({"value": {}}, "other", False),
        ({"field": ["flows"], "value": {}}, "other", False),
        ({"field": "messages", "value": {"metadata": METADATA, "messages": {"0": {}}}}, "messages", True),
        ({"field": "messages", "value": {"metadata": METADATA, "statuses": "x"}}, "messages", True),
    ],
)
def test_a_change_that_says_nothing_is_one_malformed_item(change: Any, field: str, known: bool) -> None:  # noqa: FBT001 - a column
    """A change without field or value is counted by its known part, and as one bad item."""
    good = {"field": "flows", "value": {"event": "X"}}
    webhook = webhook_parser.decode(json.dumps({"entry": [{"changes": [change, good]}]}).encode())
    assert (len(webhook.events), webhook.malformed) == (1, 1)
    assert webhook.fields == Counter([(field, known), ("flows", True)])


def test_bad_entries_and_changes_are_counted_one_by_one() -> None:
    """Entries and changes that are no objects stop nothing."""
    entries = [
        "x",
        1,
        None,
        [],
        {},
        {"changes": {}},
        {"changes": ["x", None, []]},
        json.loads(post(messages=[message()]))["entry"][0],
    ]
    webhook = webhook_parser.decode(json.dumps({"entry": entries}).encode())
    assert (len(webhook.events), webhook.malformed) == (1, 9)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"5", b'"x"', b"{}", b'{"entry": null}', b'{"entry": {}}', b'{"entry": "x"}', b'{"entry": []',
     b"\xff\xfe\x00", b"{'entry': []}", b'{"entry": []} x', b'{"entry": [' + b"9" * 5000],
)  # fmt: skip
def test_what_holds_no_list_of_entries_is_undecodable(body: bytes) -> None:
    """Neither junk nor other JSON is a webhook. Nothing of it is counted."""
    assert webhook_parser.decode(body, 5.0) == Webhook(result="undecodable", received=5.0)


def test_a_lone_surrogate_costs_nothing() -> None:
    """The host's `json` accepts a lone surrogate, so the message counts (tests/safety/README.md 13)."""
    event = one(post(messages=[message(id="wamid.\ud83d", type="te\ud83dxt", text={"body": "\ud83d"})]))
    assert (event.id, event.type) == ("wamid.?", "te?xt")
    assert one(post("flows", event="\ud83d")).value["event"] == "?"


def test_bytes_that_are_no_text_cost_only_what_needs_them() -> None:
    """Invalid UTF-8 in a part that is skipped stops no message. An account event whose value holds it is malformed."""
    broken = post(messages=[message(text={"body": "HERE"})]).replace(b"HERE", b"\xff")
    assert one(broken).id == "wamid.1"
    errors = one(post(messages=[message(errors=[{"code": 1}], text={"body": "HERE"})]).replace(b"HERE", b"\xff"))
    assert errors.id == "wamid.1"
    webhook = webhook_parser.decode(post("flows", event="HERE").replace(b"HERE", b"\xff"))
    assert (webhook.result, webhook.events, webhook.malformed) == ("accepted", [], 1)


def test_numbers_beyond_all_bounds_are_nothing() -> None:
    """Huge integers, overflowing floats and NaN are neither ids nor times (tests/safety/README.md 56)."""
    for number in (b"9" * 5000, b"1e999", b"-1e999", b"NaN", b"Infinity"):
        event = one(post(messages=[message(from_user_id="X", timestamp="X")]).replace(b'"X"', number))
        assert (event.user_id, event.timestamp) == ("", None)
        assert one(post("flows", event="X").replace(b'"X"', number)).value["event"] is None


def test_the_last_of_duplicate_keys_counts() -> None:
    """As in the host's `json`, and in both passes."""
    change = b'{"field": "flows", "value": {"a": 1}, "value": {"b": 2}, "field": "security"}'
    event = one(b'{"entry": [], "entry": [{"changes": [%s]}]}' % change)
    assert (event.field, event.value) == ("security", {"b": 2})


@pytest.mark.parametrize(
    "body",
    [
        b'{"entry": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x": "\\ud83d", "entry": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"entry": [], "x": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
        b'{"entry": ' + b"[" * 100_000,
    ],
)
def test_nesting_100_000_deep_is_undecodable(body: bytes) -> None:
    """A JSON bomb is contained (tests/safety/README.md 14)."""
    whole = sys.version_info >= (3, 14) and body.startswith(b'{"entry": []')  # its decoders measure the real stack
    assert webhook_parser.decode(body).result == ("accepted" if whole else "undecodable")


def test_a_batch_of_3_mb_is_read_whole() -> None:
    """1,000 messages of 1,000 people with their contacts, the most that Meta sends (whatsapp/README.md 1.2)."""
    contacts = [{"wa_id": str(n), "user_id": f"US.{n}"} for n in range(1000)]
    texts = [message(**{"id": f"wamid.{n}", "from": str(n), "text": {"body": "x" * 2800}}) for n in range(1000)]
    body = post(messages=texts, contacts=contacts)
    assert len(body) > 2_900_000
    webhook = webhook_parser.decode(body)
    assert [(e.id, e.user_id) for e in webhook.events if isinstance(e, Message)] == [
        (f"wamid.{n}", f"US.{n}") for n in range(1000)
    ]
    assert webhook.malformed == 0


def test_a_million_changes_are_bounded() -> None:
    """Items beyond 10,000 entries, changes and items are counted and not read (tests/safety/README.md 56)."""
    empty = webhook_parser.decode(b'{"entry": [{"changes": [' + b",".join([b"{}"] * 1_000_000) + b"]}]}")
    assert (empty.malformed, sum(empty.fields.values())) == (1_000_000, 9_999)
    entries = webhook_parser.decode(b'{"entry": [' + b",".join([b"{}"] * 1_000_000) + b"]}")
    assert (entries.events, entries.malformed) == ([], 1_000_000)
    texts = webhook_parser.decode(post(messages=[message()] * 12_000, statuses=[{"id": "wamid.2", "status": "read"}]))
    assert (len(texts.events), texts.malformed) == (9_998, 12_001 - 9_998)


@pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes", "user_preferences"])
@pytest.mark.parametrize("more", [{}, {"message_echoes": None, "user_preferences": None}])
def test_a_field_without_its_only_list_is_malformed(field: str, more: dict[str, Any]) -> None:
    """Echoes and preferences would otherwise be lost without a count. A value of messages may hold other lists."""
    webhook = webhook_parser.decode(post(field, **more))
    assert (webhook.malformed, webhook.events) == (1, [])
    assert webhook_parser.decode(post("messages", **more)).malformed == 0
