"""Kinds of webhooks are told apart, and their content is read within bounds."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from chatvitals.events import AccountEvent, Webhook
from chatvitals.whatsapp import schema, webhook_parser
from tests.helpers.webhook_bodies import ADA, GRACE, METADATA, NUMBER, message, one, post


def test_key_order_does_not_matter() -> None:
    """Meta writes `entry` before `object` and `field` after `value`, or not."""
    value = {"messages": [message()], "metadata": METADATA}
    one_way = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    other = {
        "entry": [{"changes": [{"value": dict(reversed(value.items())), "field": "messages"}]}],
        "object": "whatsapp_business_account",
    }
    assert webhook_parser.decode(json.dumps(one_way).encode()) == webhook_parser.decode(json.dumps(other).encode())


# Keys that tell one kind from another


@pytest.mark.parametrize("name", ["page", "instagram", "user", "permissions", "", "WhatsApp_Business_Account", 5, []])
def test_a_webhook_of_another_object_is_foreign_and_never_malformed(name: Any) -> None:
    """Meta sends several products to one address. An entry of Messenger has no `changes`."""
    entries: list[Any] = [[{"id": "1", "messaging": [{}]}], [{"changed_fields": ["name"]}], {}, None]
    for entry in entries:
        webhook = webhook_parser.decode(json.dumps({"object": name, "entry": entry}).encode(), 5.0)
        assert webhook == Webhook(result="foreign", received=5.0)


@pytest.mark.parametrize("name", [None, "whatsapp_business_account"])
def test_a_webhook_without_an_object_is_whatsapps(name: Any) -> None:
    """Partners and logs leave the key out."""
    body = json.loads(post(messages=[message()])) | {"object": name}
    assert len(webhook_parser.decode(json.dumps(body).encode()).events) == 1


@pytest.mark.parametrize("kind", ["payment", "call", "PAYMENT", "order"])
def test_a_status_of_another_type_is_no_message_status(kind: str) -> None:
    """A payment's status has the id of the order message. It is neither counted nor malformed."""
    status = {"id": "wamid.1", "status": "failed", "recipient_id": ADA, "type": kind, "payment": {"reference_id": "r"}}
    of_message = {**status, "type": None, "payment": None}
    nameless = {**status, "type": None}  # the object tells
    statuses = [status, {**status, "type": "message"}, of_message, nameless]
    webhook = webhook_parser.decode(post(statuses=statuses))
    assert (len(webhook.events), webhook.malformed) == (2, 0)


@pytest.mark.parametrize(
    ("item", "nothing"),
    [
        ({"type": "unsupported", "unsupported": {"type": "edit"}}, True),
        ({"type": "unsupported", "unsupported": {"type": "reaction"}}, True),
        ({"type": "unsupported", "unsupported": {"type": "pin"}}, True),
        ({"type": "unsupported", "unsupported": {"type": "keep_in_chat"}}, True),
        ({"type": "unsupported", "unsupported": {"type": "poll_update"}}, True),
        ({"type": "unsupported", "unsupported": {"type": "Poll_Update"}}, True),
        ({"type": "unsupported", "unsupported": [{"type": "edit"}]}, True),
        ({"type": "poll_update"}, True),
        ({"type": "keep_in_chat"}, True),
        ({"type": "unsupported", "unsupported": {"type": "poll_creation"}}, False),
        ({"type": "unsupported", "unsupported": {"type": "unknown"}}, False),
        ({"type": "unsupported", "unsupported": {"type": ["edit"]}}, False),
        ({"type": "unsupported", "unsupported": "edit"}, False),
        ({"type": "unsupported"}, False),
        ({"type": "interactive", "interactive": {"type": "call_permission_reply"}}, True),
        ({"type": "interactive", "interactive": {"type": "button_reply"}}, False),
        ({"type": "interactive"}, False),
        ({"type": "text", "unsupported": {"type": "edit"}}, False),
        *(({"type": kind}, True) for kind in ("reaction", "edit", "revoke", "system", "request_welcome", "pin")),
    ],
)
def test_what_adds_no_message_says_so_in_its_own_type(item: dict[str, Any], nothing: bool) -> None:  # noqa: FBT001 - a column
    """Messages and echoes alike."""
    assert one(post(messages=[message(**item)])).adds_nothing is nothing
    assert one(post("smb_message_echoes", message_echoes=[message(**item)])).adds_nothing is nothing


# Content


@pytest.mark.parametrize(
    ("item", "only_errors"),
    [
        (message(errors=[{"code": 1}], text=None), True),
        (message(errors={"code": 1}, text=None), True),
        (message(errors=[{"code": 1}]), False),
        (message(errors=[], text=None), False),
        (message(errors=[{"code": 131051}], type="unsupported"), False),
        (message(errors=[{"code": 1}], type="reaction"), True),
        ({"id": "wamid.1", "from": ADA, "errors": [{"code": 1}]}, True),
    ],
)
def test_only_errors_says_that_there_is_no_content(item: dict[str, Any], only_errors: bool) -> None:  # noqa: FBT001 - a column
    """A message with errors and without the key of its type holds nothing. An unsupported one is a person's."""
    assert one(post(messages=[item])).only_errors is only_errors


def test_of_needs_the_key_of_the_type() -> None:
    """A reaction, an edit or a deletion without a proper target has an empty target."""
    for kind, key in (("reaction", "message_id"), ("edit", "original_message_id"), ("revoke", "original_message_id")):
        assert one(post(messages=[message(type=kind, **{kind: {key: "wamid.7"}})])).of == "wamid.7"
        assert one(post(messages=[message(type=kind, **{kind: "junk"})])).of == ""


@pytest.mark.parametrize("name", ["entry", "changes", "messages", "statuses", "message_echoes", "user_preferences"])
def test_an_object_in_place_of_a_list_of_items_is_malformed(name: str) -> None:
    """No sender of webhooks is known that writes one item so. It is counted, and never read by guess."""
    items = {"message_echoes": "smb_message_echoes", "user_preferences": "user_preferences"}
    item = {"id": "wamid.1", "type": "text", "status": "sent", "value": "stop"}
    body = json.loads(post(items.get(name, "messages"), **({} if name in {"entry", "changes"} else {name: [item]})))
    holder = body if name == "entry" else body["entry"][0]
    holder = holder if name in {"entry", "changes"} else holder["changes"][0]["value"]
    holder[name] = holder[name][0]
    webhook = webhook_parser.decode(json.dumps(body).encode())
    assert webhook.events == []
    assert (webhook.result, webhook.malformed) == (("undecodable", 0) if name == "entry" else ("accepted", 1))


def test_a_list_of_one_object_in_place_of_the_object_is_read() -> None:
    """Some receivers record objects so."""
    revoked = message(type="revoke", revoke=[{"original_message_id": "wamid.0"}])
    changed = message(type="system", system=[{"type": "user_changed_number", "wa_id": GRACE}])
    priced = {"id": "wamid.2", "status": "sent", "recipient_id": ADA, "pricing": [{"category": "utility"}]}
    events = webhook_parser.decode(post(messages=[revoked, changed], statuses=[priced])).events
    assert [getattr(event, "of", "") for event in events] == ["wamid.0", "", "", ""]
    assert [getattr(event, "new_wa_id", "") for event in events] == ["", "", GRACE, ""]
    assert getattr(events[-1], "category", "") == "utility"


def test_words_of_open_lists_pass_and_are_cut() -> None:
    """Types and statuses are Meta's to extend. 10 MB of text are not a type."""
    assert one(post(messages=[message(type="hologram")])).type == "hologram"
    assert one(post(messages=[message(type="x" * 1000)])).type == "x" * 64
    assert one(post(statuses=[{"id": "wamid.1", "status": "Teleported"}])).status == "teleported"


@pytest.mark.parametrize("errors", [[{"code": 131049}, {"code": 1}], {"code": 131049}, {"code": "131049"}])
def test_a_failure_has_the_code_of_the_only_or_first_error(errors: Any) -> None:
    """Some proxies give one error in place of a list of one."""
    event = one(post(statuses=[{"id": "wamid.1", "status": "failed", "errors": errors}]))
    assert (event.status, event.code) == ("failed", "131049")


@pytest.mark.parametrize("errors", [{}, {"code": [1]}, [], ["x"], [{}], [{"code": [1]}], [[{"code": 1}]], "x", None])
def test_errors_in_an_odd_form_give_no_code(errors: Any) -> None:
    """A failure whose code cannot be read is still a failure."""
    event = one(post(statuses=[{"id": "wamid.1", "status": "failed", "errors": errors, "pricing": "x"}]))
    assert (event.status, event.code, event.category) == ("failed", "", "")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1795400000", 1795400000),
        (1795400000, 1795400000),
        (1795400000.9, 1795400000),
        ("0", 0),
        ("1795400000000", None),
        (1795400000000, None),
        (10**25, None),
        (-1, None),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("\u00b2", None),
        (True, None),
        (None, None),
        ([1], None),
        (1e300, None),
        (math.inf, None),
        (math.nan, None),
    ],
)
def test_timestamps_are_seconds_or_nothing(value: Any, seconds: int | None) -> None:
    """Text and numbers of seconds are taken. Milliseconds, junk and booleans are no timestamp."""
    assert schema.seconds(value) == seconds
    assert one(post(messages=[message(timestamp=value)])).timestamp == seconds


@pytest.mark.parametrize(("time", "seconds"), [(5, 5), ("5", 5), (None, None), ("x", None), ({}, None)])
def test_the_time_of_an_account_event_comes_in_several_types(time: Any, seconds: int | None) -> None:
    """`entry.time` is an integer, a string or absent (whatsapp/README.md 1.1)."""
    body = {"entry": [{"id": 7, "time": time, "changes": [{"field": "flows", "value": {"event": "X"}}]}]}
    assert one(json.dumps(body).encode().replace(b'"time": null, ', b"")) == AccountEvent(
        field="flows", entry="7", time=seconds, value={"event": "X"}, received=5.0
    )


def test_the_display_number_is_digits_only() -> None:
    """Whatever punctuation it comes with, and only where both ids of the number are there."""
    for display, digits in (("+1 (555) 000-1234", {NUMBER: "15550001234"}), ("\u0661", {}), (None, {}), ("", {})):
        metadata = {"phone_number_id": NUMBER, "display_phone_number": display}
        assert webhook_parser.decode(post(metadata=metadata)).numbers == digits
    assert webhook_parser.decode(post(metadata={"display_phone_number": "15550001234"})).numbers == {}


@pytest.mark.parametrize("field", ["history", "standby", "calls", "smb_app_state_sync", "automatic_events",
                                   "tracking_events", "consumer_profile"])  # fmt: skip
def test_fields_about_people_but_not_their_messages_are_only_counted(field: str) -> None:
    """Old messages, other responders' threads, calls and address books open nothing and travel no further."""
    webhook = webhook_parser.decode(post(field, messages=[message()], statuses=[{"id": "w", "status": "read"}]))
    assert (webhook.events, webhook.fields, webhook.malformed) == ([], {(field, True): 1}, 0)


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("news_2030", "news_2030"),
        ("n" * 100, "n" * 64),
        ("Not a Name", "other"),
        ("\u00e9", "other"),
        ("a\nb", "other"),
    ],
)
def test_an_unknown_field_is_an_account_event_under_a_harmless_name(field: str, name: str) -> None:
    """Tomorrow's fields are kept by name. Free text is not."""
    webhook = webhook_parser.decode(post(field, x=1))
    assert webhook.fields == {(name, False): 1}
    assert [e.field for e in webhook.events if isinstance(e, AccountEvent)] == [name]
