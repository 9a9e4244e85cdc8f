"""Bodies of webhooks with one change, and what is read from them."""

from __future__ import annotations

import json
from typing import Any

from chatvitals.events import Echo, IdentityChange, Message, Status, Webhook
from chatvitals.whatsapp import webhook_parser

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


def ids(webhook: Webhook) -> list[tuple[str, ...]]:
    """Return the ids of each event of persons, in order, those of an identity change with the other ones."""
    return [
        (e.wa_id, e.user_id) + ((e.new_wa_id, e.new_user_id) if isinstance(e, IdentityChange) else ())
        for e in webhook.events
        if isinstance(e, Message | Status | Echo | IdentityChange)
    ]
