"""A message of each of many contacts."""

from __future__ import annotations

from chatvitals.events import Message
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE


def message(index: int, kind: str = "text") -> Message:
    return Message(
        phone_number_id=NUMBER,
        wa_id=str(int(PHONE) + index),
        id=f"wamid.{index}",
        type=kind,
        timestamp=EPOCH,
        received=EPOCH,
    )
