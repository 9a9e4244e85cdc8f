"""Bodies of sends, and the answers that accept them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Clock = Any  # the fake clock of conftest


NUMBER = "990005556667778"
URL = f"https://graph.example/v24.0/{NUMBER}/messages"
MARKETING = f"https://graph.example/v24.0/{NUMBER}/marketing_messages"
PHONE = "15550004321"
USER = "US.90000000000000000001"
OTHER_ACCEPTED = b'{"messages": [{"id": "wamid.other"}]}'
ACCEPTED = json.dumps(
    {
        "messaging_product": "whatsapp",
        "contacts": [{"input": PHONE, "wa_id": PHONE}],
        "messages": [{"id": "wamid.one"}],
    }
).encode()


def body(**more: Any) -> dict[str, Any]:
    """Return the body of a text message. Keywords replace or add fields, None takes them away."""
    fields = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}} | more
    return {name: value for name, value in fields.items() if value is not None}


def template(**more: Any) -> dict[str, Any]:
    """Return the body of a template message."""
    return body(type="template", text=None, template={"name": "promo", "language": {"code": "it"}}, **more)
