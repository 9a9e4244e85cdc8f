"""Decoding of webhook bodies to events: the usual webhook quickly, any other one with all rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.events import Webhook
from chatvitals.whatsapp import bodies, usual_webhooks
from chatvitals.whatsapp.closing_remarks import BY_DEFAULT, ClosingRemarks
from chatvitals.whatsapp.enums import OBJECT
from chatvitals.whatsapp.schema import REFUSED
from chatvitals.whatsapp.webhook_reading import WebhookReading

if TYPE_CHECKING:
    from collections.abc import Callable


def decode(
    body: bytes,
    received: float = 0.0,
    closings: ClosingRemarks = BY_DEFAULT,
    give_way: Callable[[], None] | None = None,
) -> Webhook:
    """Return the events of one POST with further counts about it. It never raises, whatever the bytes are.

    Args:
        body: the request's body. Up to 10,000 entries, changes and items are read, and the rest counts as malformed.
        received: time of arrival in Unix seconds of the local clock. Every event carries it.
        closings: the detector of closing remarks.
        give_way: called between the items of the body, so that a thread can pause while it reads a long one.

    Returns:
        A `Webhook` with the result `accepted`. It is `foreign` where `object` names another product of Meta, and
        `undecodable` where no list of entries could be read.

    """
    webhook = usual_webhooks.read(body, received, closings) if len(body) < bodies.LONG else None
    return webhook or decode_in_full(body, received, closings, give_way)


def decode_in_full(
    body: bytes,
    received: float = 0.0,
    closings: ClosingRemarks = BY_DEFAULT,
    give_way: Callable[[], None] | None = None,
) -> Webhook:
    """Do the same as `decode`, always with all rules, even where the quick way would do."""
    source = bodies.of(body, give_way)
    try:
        document = source.document()
    except RecursionError:
        return Webhook(result="undecodable", received=received)
    except REFUSED:
        try:
            source = source.cleaned()
            document = source.document()
        except REFUSED:
            return Webhook(result="undecodable", received=received)
    if document.object != OBJECT and document.object is not None:
        return Webhook(result="foreign", received=received)
    webhook = Webhook(result="accepted", received=received)
    if not WebhookReading(webhook, source.everything, closings, give_way).document(document):
        return Webhook(result="undecodable", received=received)
    return webhook
