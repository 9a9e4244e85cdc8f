from __future__ import annotations

import json
import math
import sys
from collections import Counter
from typing import Any

import pytest

from chatvitals.events import AccountEvent, Echo, IdentityChange, Message, Preference, Status, Webhook
from chatvitals.whatsapp import schema, webhook_parser

NUMBER = "990005556667778"
METADATA = {"display_phone_number": "15550001234", "phone_number_id": NUMBER}
ADA, GRACE = "15550004321", "15550005678"
ADA_ID, GRACE_ID = "US.90000000000000000001", "US.90000000000000000002"


def post(field: str = "messages", *, metadata: Any = METADATA, **value: Any) -> bytes:
    """Return a body with one change."""
    value = {"metadata": metadata, **value}
    return json.dumps({"entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]}).encode()


def message(**more: Any) -> dict[str, Any]:
    """Return a text of Ada's, with more or other keys."""
    return {"id": "wamid.1", "from": ADA, "timestamp": "1795400000", "type": "text", "text": {"body": "hi"}} | more


def one(body: bytes) -> Any:
    """Return the only event of a body in which nothing is wrong."""
    webhook = webhook_parser.decode(body, 5.0)
    assert (webhook.result, webhook.malformed) == ("accepted", 0)
    (event,) = webhook.events
    assert event.received == 5.0
    return event


def test_key_order_does_not_matter() -> None:
    """Meta writes `entry` before `object` and `field` after `value`, or not."""
    value = {"messages": [message()], "metadata": METADATA}
    one_way = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    other = {
        "entry": [{"changes": [{"value": dict(reversed(value.items())), "field": "messages"}]}],
        "object": "whatsapp_business_account",
    }
    assert webhook_parser.decode(json.dumps(one_way).encode()) == webhook_parser.decode(json.dumps(other).encode())


# Persons


def test_a_missing_id_is_joined_from_contacts_by_the_other_one() -> None:
    """`contacts[]` is no parallel list: ids are joined, in any order, to messages and statuses alike."""
    contacts = [{"wa_id": GRACE, "user_id": GRACE_ID}, "junk", {"wa_id": ADA, "user_id": ADA_ID}, {"wa_id": ADA}]
    texts = [message(), message(**{"from": None, "from_user_id": GRACE_ID}), message(**{"from": "1"})]
    statuses = [{"id": "wamid.2", "status": "sent", "recipient_id": GRACE}]
    events = webhook_parser.decode(post(contacts=contacts, messages=texts, statuses=statuses)).events
    assert [(e.wa_id, e.user_id) for e in events if not isinstance(e, AccountEvent)] == [
        (ADA, ADA_ID),
        (GRACE, GRACE_ID),
        ("1", ""),
        (GRACE, GRACE_ID),
    ]


def test_an_empty_id_is_as_good_as_an_absent_one() -> None:
    """Some senders write an empty string where Meta leaves the key out."""
    event = one(
        post(messages=[message(**{"from": "", "from_user_id": ADA_ID})], contacts=[{"wa_id": "", "user_id": ADA_ID}])
    )
    assert (event.wa_id, event.user_id) == ("", ADA_ID)


def ids(webhook: Webhook) -> list[tuple[str, ...]]:
    """Return the ids of each event of persons, in order, those of an identity change with the other ones."""
    return [
        (e.wa_id, e.user_id) + ((e.new_wa_id, e.new_user_id) if isinstance(e, IdentityChange) else ())
        for e in webhook.events
        if isinstance(e, Message | Status | Echo | IdentityChange)
    ]


def test_a_contact_that_spells_the_number_otherwise_is_the_sender() -> None:
    """In Brazil and Mexico `from` and `wa_id` may differ: `from` is kept, and the user id is joined."""
    contacts = [{"wa_id": "551187654321", "user_id": "BR.1"}]
    sender = message(**{"from": "5511987654321"})
    assert ids(webhook_parser.decode(post(messages=[sender], contacts=contacts))) == [("5511987654321", "BR.1")]
    two = [sender, message(id="wamid.2")]
    assert ids(webhook_parser.decode(post(messages=two, contacts=contacts))) == [("5511987654321", "BR.1"), (ADA, "")]


@pytest.mark.parametrize(
    ("item", "contact", "told"),
    [
        ({"from": ADA}, {"user_id": ADA_ID}, [(ADA, ADA_ID)]),
        ({"from_user_id": ADA_ID}, {"wa_id": ADA}, [(ADA, ADA_ID)]),
        ({"from": ADA}, {"wa_id": GRACE}, [(ADA, "", GRACE, ""), (ADA, "")]),
        ({"from": ADA}, {"wa_id": GRACE, "user_id": ADA_ID}, [(ADA, ADA_ID, GRACE, ""), (ADA, ADA_ID)]),
        ({"from": ADA, "from_user_id": ADA_ID}, {"user_id": GRACE_ID}, [(ADA, ADA_ID, "", GRACE_ID), (ADA, ADA_ID)]),
    ],
)
def test_one_message_and_one_contact_are_one_person(
    item: dict[str, Any], contact: dict[str, Any], told: list[tuple[str, ...]]
) -> None:
    """Where a value holds one of each, all ids are aliases of one person."""
    body = post(messages=[message(**{"from": None} | item)], contacts=[contact])
    assert ids(webhook_parser.decode(body)) == told


def test_two_messages_or_two_contacts_make_no_aliases() -> None:
    """With several phones or user ids the pairs are unknown."""
    one_message, two = [message()], [message(), message(id="wamid.2")]
    contacts = [{"wa_id": GRACE, "user_id": GRACE_ID}]
    assert ids(webhook_parser.decode(post(messages=two, contacts=contacts))) == [(ADA, ""), (ADA, "")]
    body = post(messages=one_message, contacts=[*contacts, {"wa_id": "1"}])
    assert ids(webhook_parser.decode(body)) == [(ADA, "")]


def test_one_status_takes_its_missing_id_from_the_only_contact() -> None:
    """A status may show the phone and its contact the user id. A contact with another phone is another person."""
    status = {"id": "wamid.1", "status": "sent", "recipient_id": ADA}
    assert ids(webhook_parser.decode(post(statuses=[status], contacts=[{"user_id": ADA_ID}]))) == [(ADA, ADA_ID)]
    other = [{"wa_id": GRACE, "user_id": GRACE_ID}]
    assert ids(webhook_parser.decode(post(statuses=[status], contacts=other))) == [(ADA, "")]


def test_a_message_that_names_nobody_belongs_to_the_only_contact() -> None:
    """With one item and one contact there is no doubt. With two items there is."""
    nameless = {"id": "wamid.1", "type": "contacts", "contacts": []}
    contacts = [{"wa_id": ADA, "user_id": ADA_ID}]
    event = one(post(messages=[nameless], contacts=contacts))
    assert (event.wa_id, event.user_id) == (ADA, ADA_ID)
    events = webhook_parser.decode(post(messages=[nameless, message()], contacts=contacts)).events
    assert [e.wa_id for e in events if isinstance(e, Message)] == ["", ADA]
    assert one(post(messages=[nameless], contacts=["junk"])).wa_id == ""
    assert one(post(messages=[nameless], contacts={"wa_id": ADA})).wa_id == ""


def test_a_failed_status_may_name_its_person_in_contacts_alone() -> None:
    """A failure with 131026 was seen with nothing but `contacts: [{wa_id}]`."""
    failed = {"id": "wamid.1", "status": "FAILED", "timestamp": 1795400000, "errors": [{"code": "131026"}]}
    event = one(post(statuses=[failed], contacts=[{"wa_id": ADA}]))
    assert (event.wa_id, event.status, event.code, event.timestamp) == (ADA, "failed", "131026", 1795400000)


def test_a_number_that_is_an_id_is_read_as_text() -> None:
    """Ids that come as integers are the same ids. Other types are no ids."""
    event = one(
        post(messages=[message(**{"from": int(ADA), "from_user_id": [1], "id": 12})], metadata={"phone_number_id": 9})
    )
    assert (event.phone_number_id, event.wa_id, event.user_id, event.id) == ("9", ADA, "", "12")
    assert one(post(messages=[message(**{"from": 10**30})])).wa_id == ""


def test_an_echo_is_about_the_one_it_went_to() -> None:
    """A person of the business typed it to a phone or to a business-scoped id. The field has two names."""
    echo = {"id": "wamid.1", "from": "15550001234", "to_user_id": ADA_ID, "type": "text", "timestamp": "1795400000"}
    for field in ("smb_message_echoes", "message_echoes"):
        event = one(post(field, message_echoes=[echo]))
        assert isinstance(event, Echo)
        assert (event.wa_id, event.user_id, event.type) == ("", ADA_ID, "text")


PARENT = "US.ENT.90000000000000000077"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", {"messages": [message(**{"from": ADA, "from_user_id": ADA_ID, "from_parent_user_id": PARENT})]}),
        ("messages", {"messages": [{"id": "wamid.1", "type": "system", "from": ADA, "from_user_id": ADA_ID,
                                    "system": {"type": "customer_identity_changed", "parent_user_id": PARENT}}]}),
        *(
            ("messages", {"statuses": [{"id": "wamid.1", "status": "sent", "recipient_id": ADA,
                                        "recipient_user_id": ADA_ID, spelling: PARENT}]})
            for spelling in ("recipient_parent_user_id", "parent_recipient_user_id", "parent_user_id")
        ),
        ("smb_message_echoes", {"message_echoes": [{"id": "wamid.1", "type": "text", "to": ADA, "to_user_id": ADA_ID,
                                                    "to_parent_user_id": PARENT}]}),
    ],
    ids=["message", "system", "recipient_parent", "parent_recipient", "parent", "echo"],
)  # fmt: skip
def test_an_id_for_linked_portfolios_is_another_id_of_the_person(field: str, value: Any) -> None:
    """A bot may send to it, and the send must reach the contact that wrote."""
    webhook = webhook_parser.decode(post(field, **value))
    assert webhook.malformed == 0
    assert ids(webhook) == [(ADA, ADA_ID, "", PARENT), (ADA, ADA_ID)]


def test_a_preference_links_the_id_for_linked_portfolios() -> None:
    """It names the person as a message does."""
    item = {"wa_id": ADA, "parent_user_id": PARENT, "category": "marketing_messages", "value": "stop"}
    webhook = webhook_parser.decode(post("user_preferences", user_preferences=[item]))
    assert [type(event) for event in webhook.events] == [IdentityChange, Preference]
    assert ids(webhook) == [(ADA, "", "", PARENT)]


def test_an_id_for_linked_portfolios_alone_is_the_person() -> None:
    """It is better than no id. An id of no text is none, and a group is no person."""
    assert ids(webhook_parser.decode(post(messages=[message(**{"from": "", "from_parent_user_id": PARENT})]))) == [
        ("", PARENT)
    ]
    for none in ('""', "null", "[1]", "{}"):
        sender = message(**{"from": ADA, "from_parent_user_id": json.loads(none)})
        assert ids(webhook_parser.decode(post(messages=[sender]))) == [(ADA, "")]
    group = {
        "id": "wamid.1",
        "status": "sent",
        "recipient_id": "G",
        "recipient_type": "group",
        "parent_user_id": PARENT,
    }
    assert ids(webhook_parser.decode(post(statuses=[group]))) == [("G", "")]


# System messages


def system(**more: Any) -> list[Any]:
    """Return the events of a system message. Keywords go to its `system`, or to the item if they begin with `from`."""
    item = {key: value for key, value in more.items() if key.startswith("from")}
    body = {key: value for key, value in more.items() if key not in item}
    webhook = webhook_parser.decode(post(messages=[{"id": "wamid.1", "type": "system", "system": body, **item}]))
    assert webhook.malformed == 0
    return [(e.wa_id, e.user_id) + ((e.new_wa_id, e.new_user_id) if isinstance(e, IdentityChange) else ())
            for e in webhook.events if isinstance(e, Message | IdentityChange)]  # fmt: skip


def test_a_changed_number_links_the_old_ids_to_the_new() -> None:
    """`from` and `from_user_id` are the old ids of the person, and `system` has the new ids."""
    told = system(**{"from": ADA, "from_user_id": ADA_ID}, type="user_changed_number", wa_id=GRACE, user_id=GRACE_ID)
    assert told == [(ADA, ADA_ID), (ADA, ADA_ID, GRACE, GRACE_ID)]


def test_a_changed_user_id_links_the_previous_one() -> None:
    """The previous user id or the phone is the person. The message itself is theirs too."""
    kind = {"type": "user_changed_user_id", "user_id": GRACE_ID}
    assert system(**kind, previous_user_id=ADA_ID) == [("", ADA_ID), ("", ADA_ID, "", GRACE_ID)]
    assert system(**kind, wa_id=ADA) == [(ADA, ""), (ADA, "", "", GRACE_ID)]
    assert system(**kind, from_user_id=GRACE_ID, previous_user_id=ADA_ID)[1] == ("", ADA_ID, "", GRACE_ID)


def test_a_change_that_links_nothing_is_none() -> None:
    """Where the ids before or after are missing, or the same, there is only the message."""
    assert system(type="user_changed_user_id", user_id=GRACE_ID) == [("", GRACE_ID)]
    assert system(**{"from": ADA}, type="user_changed_number", wa_id=ADA) == [(ADA, "")]
    assert system(**{"from": ADA}, type="customer_identity_changed", wa_id=GRACE) == [(ADA, "")]
    assert [type(e) for e in webhook_parser.decode(post(messages=[message(type="system", system=[])])).events] == [
        Message
    ]


@pytest.mark.parametrize(
    "told",
    [
        {"type": "user_changed_number", "new_wa_id": GRACE},
        {"type": "customer_changed_number", "new_wa_id": GRACE},
        {"type": "customer_changed_number", "wa_id": GRACE, "customer": ADA},
        {"type": "user_changed_number", "wa_id": GRACE},
        {"new_wa_id": GRACE},
    ],
)
def test_a_changed_number_is_read_in_older_words(told: dict[str, str]) -> None:
    """The new number stands under two names, and the type has two."""
    assert system(**{"from": ADA}, **told) == [(ADA, ""), (ADA, "", GRACE, "")]


@pytest.mark.parametrize("sender", [{}, {"from": GRACE}])
def test_the_older_form_names_the_earlier_number_under_customer(sender: dict[str, str]) -> None:
    """Where the message has the new number or no sender, `customer` has the old id."""
    told = system(**sender, type="customer_changed_number", wa_id=GRACE, customer=ADA)
    assert told == [(ADA, ""), (ADA, "", GRACE, "")]


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
    webhook = webhook_parser.decode(post(statuses=[status, {**status, "type": "message"}, {**status, "type": None}]))
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


# Threads that another responder owns


def standby_echo(**body: Any) -> Webhook:
    """Return what an echo under `standby` says, whose send has this body."""
    echo = {"id": "wamid.1", "timestamp": "1795400000", "message": {"messaging_product": "whatsapp", **body}}
    return webhook_parser.decode(post("standby", standby={"message_echoes": [echo]}))


def test_an_echo_under_standby_is_read_from_the_body_of_its_send() -> None:
    """It has the shape of a send. Its sender is not known."""
    for to, person in (({"to": ADA}, (ADA, "")), ({"recipient": ADA_ID}, ("", ADA_ID))):
        (event,) = standby_echo(type="text", **to).events
        assert isinstance(event, Echo)
        assert (event.wa_id, event.user_id) == person
        assert (event.type, event.actor, event.timestamp, event.adds_nothing) == ("text", "unknown", 1795400000, False)


def test_reactions_marks_and_groups_under_standby_answer_nobody() -> None:
    """A reaction adds nothing, a read mark is no message, and a group is no contact."""
    (reaction,) = standby_echo(type="reaction", to=ADA).events
    assert isinstance(reaction, Echo)
    assert reaction.adds_nothing
    mark = standby_echo(status="read", message_id="wamid.9", typing_indicator={"type": "text"})
    assert (mark.events, mark.malformed) == ([], 0)
    (group,) = standby_echo(type="text", to="EXAMPLEGROUPID0001", recipient_type="group").events
    assert isinstance(group, Echo)
    assert (group.wa_id, group.user_id) == ("EXAMPLEGROUPID0001", "")


def test_an_echo_under_standby_may_have_the_shape_of_the_apps_echoes() -> None:
    """Flat items, in `standby` or straight in the value, are read as well."""
    echo = {"id": "wamid.1", "to": ADA, "type": "text", "timestamp": "1795400000"}
    for value in ({"standby": {"message_echoes": [echo]}}, {"message_echoes": [echo]}):
        event = one_of_standby(value)
        assert (event.wa_id, event.actor) == (ADA, "unknown")


def one_of_standby(value: dict[str, Any]) -> Echo:
    """Return the only echo of a value under `standby`."""
    (event,) = webhook_parser.decode(post("standby", **value)).events
    assert isinstance(event, Echo)
    return event


def test_messages_and_statuses_under_standby_are_not_ours() -> None:
    """What customers write there waits for the other responder."""
    status = {"id": "wamid.1", "status": "sent", "recipient_id": ADA}
    held = {"messages": [message()], "statuses": [status]}
    values: list[dict[str, Any]] = [{"standby": held}, held, {"standby": {}}, {}]
    for value in values:
        webhook = webhook_parser.decode(post("standby", **value))
        assert (webhook.events, webhook.malformed) == ([], 0)
    assert webhook_parser.decode(post("standby", standby=["junk"])).malformed == 1


def test_nothing_under_standby_is_joined_to_a_stranger() -> None:
    """Two echoes that name nobody are not the one contact's."""
    echoes = [{"id": f"wamid.{i}", "message": {"type": "text"}} for i in range(2)]
    value = {"standby": {"contacts": [{"wa_id": ADA}], "message_echoes": echoes}}
    assert ids(webhook_parser.decode(post("standby", **value))) == [("", ""), ("", "")]


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


# Bad items


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
