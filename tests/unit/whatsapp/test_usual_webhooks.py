from __future__ import annotations

import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.testing import run_scenario
from chatvitals.whatsapp import bodies, usual_webhooks, webhook_parser
from chatvitals.whatsapp.closing_remarks import BY_DEFAULT
from tests.helpers.examples import share
from tests.helpers.json_mutants import PAYLOADS, REPLACEMENTS, broken, mutant, places

if TYPE_CHECKING:
    from chatvitals.events import Webhook

VECTORS = sorted((Path(__file__).parents[2] / "scenarios" / "vectors").glob("*.json"))
USUAL = [path for path in PAYLOADS if usual_webhooks.read(path.read_bytes(), 7.5, BY_DEFAULT)]
CONTACT = {"wa_id": "15550004321", "user_id": "US.1"}


def quick_equals_full(body: bytes) -> bool:
    """Assert that the quick way gives what the full way gives. Return whether it was of use."""
    quick = usual_webhooks.read(body, 7.5, BY_DEFAULT)
    if quick is not None:
        assert quick == webhook_parser.decode_in_full(body, 7.5), body[:2000]
    return quick is not None


def post(**value: Any) -> bytes:
    metadata = {"phone_number_id": "1", "display_phone_number": "15550001234"}
    change = {"field": "messages", "value": {"metadata": metadata, **value}}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"changes": [change]}]}).encode()


def test_messages_and_statuses_go_the_quick_way() -> None:
    """Those that make up nearly all traffic, and nothing about the business."""
    names = {path.stem for path in USUAL}
    assert {"messages__text_bsuid_and_phone", "messages__image", "messages__status_delivered_pricing",
            "messages__interactive_list_reply", "messages__status_with_contacts_bsuid"} <= names  # fmt: skip
    assert all(name.startswith("messages__") for name in names)
    assert len(names) >= 30


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_sample_gives_the_same_both_ways(path: Path) -> None:
    """Also where only one of both can read it."""
    quick_equals_full(path.read_bytes())


def test_a_sample_with_another_value_in_one_place_gives_the_same_both_ways() -> None:
    """Places of all usual samples, with values that should not stand there."""
    documents = [json.loads(path.read_bytes()) for path in USUAL]
    changes = [(each, place, value) for each in documents for place in places(each) for value in REPLACEMENTS]
    of_use = sum(quick_equals_full(mutant(*change)) for change in random.Random(1).sample(changes, share(4000)))
    assert of_use > share(1000)


def test_a_sample_with_broken_bytes_gives_the_same_both_ways() -> None:
    """Bytes that are missing, or that should not stand there."""
    chance = random.Random(2)
    bodies = [path.read_bytes() for path in USUAL]
    of_use = sum(quick_equals_full(broken(chance.choice(bodies), chance)) for _ in range(share(4000)))
    assert of_use > share(500)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_the_webhooks_of_a_scenario_give_the_same_all_ways(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they come in through the real doors: the quick way, the full way, and in pieces."""
    decode = webhook_parser.decode

    def compared(body: bytes, *args: Any) -> Webhook:
        quick_equals_full(body)
        assert webhook_parser.decode_in_full(body) == webhook_parser.decode_in_full(body, give_way=lambda: None)
        return decode(body, *args)

    monkeypatch.setattr(bodies, "LONG", 1)
    monkeypatch.setattr(bodies, "_STRETCH", 8)
    monkeypatch.setattr(webhook_parser, "decode", compared)
    run_scenario(json.loads(path.read_text()))


@pytest.mark.parametrize("contact", [{}, CONTACT, {"wa_id": "15550004321"}, {"user_id": "US.1"}, {"wa_id": "9"},
                                     {"user_id": "US.2"}, {"wa_id": "15550004321", "user_id": "US.2"},
                                     {"wa_id": "+1 555 000-4321"}])  # fmt: skip
@pytest.mark.parametrize("ids", [("15550004321", "US.1"), ("15550004321", ""), ("", "US.1"), ("", "")])
def test_the_ids_of_a_person_are_the_same_both_ways(contact: dict[str, str], ids: tuple[str, str]) -> None:
    """Whatever the only contact shows beside them."""
    phone, user = ids
    quick_equals_full(
        post(contacts=[contact], messages=[{"id": "w", "type": "text", "from": phone, "from_user_id": user}])
    )
    quick_equals_full(post(contacts=[contact], statuses=[{"id": "w", "status": "READ", "recipient_id": phone,
                                                          "recipient_user_id": user}]))  # fmt: skip


@pytest.mark.parametrize("contacts", [[CONTACT, CONTACT], ["x"], [None], [], "x", CONTACT])
def test_other_than_one_contact_takes_the_full_way(contacts: Any) -> None:
    """Only one contact and one message are one person for certain."""
    body = post(contacts=contacts, messages=[{"id": "w", "type": "text"}])
    assert usual_webhooks.read(body, 7.5, BY_DEFAULT) is None


def test_a_closing_remark_is_recognised_on_the_quick_way() -> None:
    """Its text is looked at as on the full way."""
    webhook = usual_webhooks.read(
        post(messages=[{"id": "w", "type": "text", "text": {"body": "Ok, thanks!"}}]), 1.0, BY_DEFAULT
    )
    assert webhook is not None
    assert [event.closing for event in webhook.events] == [True]  # type: ignore[union-attr]
