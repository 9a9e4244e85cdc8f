"""The observer of sends: answers in which WhatsApp holds a message back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.ear import Ear

URL = "https://graph.facebook.com/v26.0/990005556667778/messages"


def send(ear: Ear, status: object, template: str = "offer") -> None:
    """Let WhatsApp accept a template, with this status of the message."""
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "to": "15550004321",
        "type": "template",
        "template": {"name": template, "language": {"code": "en_US"}},
    }
    pending = ear.begin("POST", URL, body)
    assert pending is not None
    pending.finish(200, json.dumps({"messages": [{"id": "wamid.A", "message_status": status}]}).encode())


@pytest.mark.parametrize("status", ["held_for_quality_assessment", "HELD_FOR_QUALITY_ASSESSMENT", "paused"])
def test_a_template_that_whatsapp_holds_is_logged_once(status: str, caplog: pytest.LogCaptureFixture) -> None:
    """It counts as accepted, as the answer says."""
    ear = Ear()
    for template in ("offer", "offer", "news", ""):
        send(ear, status, template)
    assert ear.told() == [(True, "wamid.A", "")] * 4
    starts = [message.split(" but holds")[0] for message in caplog.messages]
    assert starts == [
        f"WhatsApp has accepted {what}" for what in ("the template offer", "the template news", "a template")
    ]
    assert "132015" in caplog.text


@pytest.mark.parametrize("status", ["accepted", None, 1, ["paused"], {"held_for_quality_assessment": 1}])
def test_any_other_status_of_an_accepted_message_is_not_logged(
    status: object, caplog: pytest.LogCaptureFixture
) -> None:
    ear = Ear()
    send(ear, status)
    assert ear.told() == [(True, "wamid.A", "")]
    assert caplog.messages == []
