"""Faults that no test had noticed. `python -m tests.mutants` puts each of them into the sources again."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.conversations import message_log, settling
from chatvitals.conversations.identity import Hasher
from chatvitals.conversations.state import DAY, ContactState, Exposure
from chatvitals.events import AccountEvent
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.metrics.measurements import Measurements
from chatvitals.quality import webhook_events
from chatvitals.quality.state import Quality
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures
from tests.mutants.mutants import MUTANTS, Mutant

if TYPE_CHECKING:
    from chatvitals.integrations.asgi import Message

NOW = 1_700_000_000.0
ROOT = Path(__file__).parents[2]


def test_ids_are_remembered_for_seven_days() -> None:
    """A repeated delivery on the sixth day is a duplicate, although other ids came in between."""
    seen = message_log.add_seen(b"", 1, NOW)
    seen = message_log.add_seen(seen, 2, NOW + 6.9 * 86_400)
    assert message_log.has_seen(seen, 1)
    seen = message_log.add_seen(seen, 3, NOW + 7.1 * 86_400)
    assert not message_log.has_seen(seen, 1)


def test_a_contact_of_an_experiment_is_remembered_for_90_days() -> None:
    """Else its exposure would count twice."""
    contact = ContactState(phone_number_id="1", last_received_at=NOW)
    assert settling.forgotten_at(contact) == NOW + 8 * DAY
    contact.exposures = (Exposure("greeting", "plain", ""),)
    assert settling.forgotten_at(contact) == NOW + 90 * DAY


def test_equal_values_of_two_fields_are_two_account_events() -> None:
    """A copy has the field in common as well."""
    quality, measures = Quality(), Measurements()
    for field in ("account_update", "account_alerts"):
        event = AccountEvent(field=field, entry="1", time=int(NOW), value={"event": "X"}, received=NOW)
        webhook_events.apply_event(quality, event, lambda _, value: value, Hasher(b"k" * 16), measures)
    assert not [cell for cell in measures.increments if cell[0] == "chatvitals_duplicates_total"]


def test_a_rejection_of_a_signed_webhook_is_the_bots_own_matter() -> None:
    """With a secret the signature decides, also where the bot answers 403 before the body is complete."""
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False, "app_secret": "s"}, {}), background=False)
    body = json.dumps({"entry": []}).encode()
    headers = [(b"x-hub-signature-256", signatures.sign(body, "s").encode())]
    scope = {"type": "http", "method": "POST", "path": "/webhook", "headers": headers}

    async def app(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await receive()
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(_: Message) -> None:
        pass

    asyncio.run(ChatVitalsMiddleware(app, vitals)(scope, receive, send))
    vitals.settle()
    assert vitals.store.cells()["chatvitals_webhooks_total", ("accepted",), 0] == 1.0


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_has_its_line_and_its_test(mutant: Mutant) -> None:
    """A list that no longer fits the sources would check nothing."""
    source = (ROOT / "src" / "chatvitals" / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.right) == 1
    tests = ast.walk(ast.parse((ROOT / mutant.tests).read_text(encoding="utf-8")))
    assert mutant.named in {node.name for node in tests if isinstance(node, ast.FunctionDef)}
