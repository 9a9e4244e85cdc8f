"""Names of gauges, and values of webhooks about quality."""

from __future__ import annotations

from typing import Any

from chatvitals.testing.payloads import EPOCH
from tests.helpers.quality_bench import N1, NOW

RATING = f'quality_rating{{phone_number_id="{N1.phone_number_id}"}}'
UPDATED = f'quality_updated_timestamp_seconds{{phone_number_id="{N1.phone_number_id}"}}'
FLAGGED = f'number_flagged_timestamp_seconds{{phone_number_id="{N1.phone_number_id}"}}'
CONNECTED = {"quality_rating": "GREEN", "status": "CONNECTED"}


def at(seconds: float) -> str:
    """A point in time so many seconds after the start, as expectations write it."""
    return f"epoch+{NOW - EPOCH + seconds}"


def template_value(**more: Any) -> dict[str, Any]:
    """A value about the template `offer`."""
    return {"message_template_name": "offer", "message_template_language": "en", **more}


def health(**entities: str) -> dict[str, Any]:
    """A `health_status` with one entity of each kind."""
    found = [{"entity_type": kind, "id": "1", "can_send_message": word} for kind, word in entities.items()]
    return {"health_status": {"can_send_message": "LIMITED", "entities": found}}
