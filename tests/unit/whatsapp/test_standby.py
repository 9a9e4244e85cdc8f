"""Webhooks of threads that another responder owns."""

from __future__ import annotations

from typing import Any

from chatvitals.events import Echo, Webhook
from chatvitals.whatsapp import webhook_parser
from tests.helpers.webhook_bodies import ADA, ADA_ID, ids, message, post


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
