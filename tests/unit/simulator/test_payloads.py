"""Bodies of webhooks show what WhatsApp shows."""

from __future__ import annotations

import base64

import pytest

from chatvitals import events
from chatvitals.simulator import payloads
from chatvitals.simulator.people import Person, person
from chatvitals.whatsapp import webhook_parser
from tests.helpers.virtual_world import BOTH, NUMBER, PHONE_ONLY, TEXT, USER_ONLY


@pytest.mark.parametrize("who", [BOTH, PHONE_ONLY, USER_ONLY])
def test_a_message_shows_the_ids_that_whatsapp_shows(who: Person) -> None:
    """The library's decoder finds the person and the number in a message of every kind of customer."""
    update = payloads.message(who, "wamid.x", TEXT, at=1_800_000_000.9)
    (message,) = webhook_parser.decode(payloads.webhook(NUMBER, [update]), 1.0).events
    assert isinstance(message, events.Message)
    assert (message.wa_id, message.user_id, message.phone_number_id) == (who.phone, who.user, NUMBER.phone_number_id)
    assert (message.id, message.type, message.timestamp) == ("wamid.x", "text", 1_800_000_000)


def test_a_failed_status_carries_its_code() -> None:
    """The library's decoder finds status, code and recipient."""
    update = payloads.status(USER_ONLY, "wamid.y", "failed", at=5.0, code=131026)
    (status,) = webhook_parser.decode(payloads.webhook(NUMBER, [update]), 1.0).events
    assert isinstance(status, events.Status)
    assert (status.id, status.status, status.code, status.user_id) == ("wamid.y", "failed", "131026", USER_ONLY.user)


def test_message_ids_hold_the_phone_number_as_real_ones_do() -> None:
    """A stored message id may contain a phone number. Ids differ all the same."""
    first, second = (payloads.wamid(BOTH, serial, inbound=True) for serial in (1, 2))
    assert BOTH.phone.encode() in base64.b64decode(first.removeprefix("wamid."))
    assert first != second


def test_people_are_of_three_kinds() -> None:
    """Of five customers three show both ids, one the phone alone, one the business-scoped id alone."""
    kinds = [(bool(who.phone), bool(who.user)) for who in map(person, range(5))]
    assert kinds == [(True, True)] * 3 + [(True, False), (False, True)]
