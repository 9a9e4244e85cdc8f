"""Ids of one person are joined within a webhook, and by system messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatvitals.events import AccountEvent, Echo, IdentityChange, Message, Preference
from chatvitals.whatsapp import webhook_parser
from tests.helpers.webhook_bodies import ADA, ADA_ID, GRACE, GRACE_ID, ids, message, one, post

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


def test_one_message_among_several_contacts_has_the_ids_of_its_own() -> None:
    """The other contacts may be those of statuses."""
    contacts = [{"wa_id": GRACE, "user_id": GRACE_ID}, {"wa_id": ADA, "user_id": ADA_ID}]
    assert ids(webhook_parser.decode(post(messages=[message()], contacts=contacts))) == [(ADA, ADA_ID)]


@pytest.mark.parametrize(
    ("recipient", "is_senders"),
    [
        ({"recipient_id": ADA}, True),
        ({"recipient_id": GRACE}, False),
        ({"recipient_user_id": GRACE_ID}, False),
        ({}, False),
    ],
)
def test_a_status_beside_the_message_may_own_the_contact(recipient: dict[str, str], is_senders: bool) -> None:  # noqa: FBT001 - a column
    """One message and one contact are one person, unless the contact may be the recipient of the status."""
    status = {"id": "wamid.2", "status": "read", **recipient}
    body = post(messages=[message()], statuses=[status], contacts=[{"wa_id": GRACE, "user_id": GRACE_ID}])
    linked = [(e.new_wa_id, e.new_user_id) for e in webhook_parser.decode(body).events if isinstance(e, IdentityChange)]
    assert linked == ([(GRACE, "")] if is_senders else [])


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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", {"messages": [message(**{"from": ADA, "from_user_id": ADA_ID})]}),
        ("messages", {"messages": [message(**{"from": ADA, "from_user_id": ADA_ID, "from_parent_user_id": PARENT})]}),
        ("messages", {"statuses": [{"id": "wamid.1", "status": "sent", "recipient_id": ADA}]}),
        ("smb_message_echoes", {"message_echoes": [{"id": "wamid.1", "type": "text", "to_user_id": ADA_ID}]}),
    ],
)
def test_contacts_show_the_id_for_linked_portfolios_too(field: str, value: Any) -> None:
    """A contact may be the only place that names it."""
    contacts = [{"wa_id": GRACE, "user_id": GRACE_ID}, {"wa_id": ADA, "user_id": ADA_ID, "parent_user_id": PARENT}]
    for shown in (contacts, contacts[1:]):
        assert ids(webhook_parser.decode(post(field, contacts=shown, **value))) == [
            (ADA, ADA_ID, "", PARENT),
            (ADA, ADA_ID),
        ]


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


def test_a_changed_id_links_both_ids_for_linked_portfolios() -> None:
    """The earlier one may be all that is known of the person."""
    told = system(
        type="user_changed_user_id", user_id=GRACE_ID, previous_parent_user_id=PARENT, parent_user_id="US.ENT.1"
    )
    assert told == [("", GRACE_ID, "", "US.ENT.1"), ("", GRACE_ID, "", PARENT), ("", GRACE_ID)]


@pytest.mark.parametrize("contact", [{"wa_id": ADA, "user_id": GRACE_ID}, {"wa_id": GRACE, "user_id": GRACE_ID}])
def test_the_only_contact_of_a_system_message_is_its_person(contact: dict[str, str]) -> None:
    """It has the old or the new ids. Both are the same person."""
    item = {"id": "wamid.1", "type": "system", "from": ADA, "system": {"type": "user_changed_number", "wa_id": GRACE}}
    events = webhook_parser.decode(post(messages=[item], contacts=[contact])).events
    linked = {
        one for e in events if isinstance(e, IdentityChange) for one in (e.wa_id, e.user_id, e.new_wa_id, e.new_user_id)
    }
    assert linked - {""} == {ADA, GRACE, GRACE_ID}
