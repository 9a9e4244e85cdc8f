"""The bot's verdict on a webhook, as the status of its answer shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.events import Webhook
from chatvitals.runtime import advice
from chatvitals.tracking.refusals import STATUSES

if TYPE_CHECKING:
    from chatvitals.context import Handling
    from chatvitals.events import WebhookResult
    from chatvitals.pipeline.webhook_sink import WebhookSink
    from chatvitals.settings import Settings


def is_rejection(settings: Settings, status: object) -> bool:
    """Return whether an answer rejects a webhook that only the application could recognise as forged."""
    return status in STATUSES and not settings.app_secret


def count_unread(sink: WebhookSink, handling: Handling, status: object, *, signed: bool, declared: int) -> None:
    """Count a webhook of which the application has read nothing.

    An error is no loss, since WhatsApp then sends the webhook again. Where a part was read, the client may have gone.
    """
    if handling.source is not None:
        return
    result: WebhookResult = "unread"
    if sink.settings.app_secret and not signed:
        result = "unsigned"
    elif is_rejection(sink.settings, status):
        result = "rejected"
    elif not isinstance(status, int) or status >= 400:
        return
    elif declared:
        sink.advice.once(advice.UNREAD)
    sink.emit(Webhook(result=result, received=sink.clock()))
