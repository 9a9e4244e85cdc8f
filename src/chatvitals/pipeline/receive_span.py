"""The span of a webhook. Its attributes are decoded only if the span is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.events import Message
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.runtime import spans

if TYPE_CHECKING:
    from chatvitals.context import Source
    from chatvitals.runtime.spans import ActiveSpan

_MOST_EVENTS: Final = 100  # by estimate; a longer webhook is decoded only on the pipeline's thread


def end(active: ActiveSpan, source: Source | None) -> None:
    """End the span of a webhook.

    Args:
        active: the result of `spans.start_receive`.
        source: the webhook, or None where its body never came.

    """
    if type(source) is not RawWebhook or source.weight > _MOST_EVENTS or not active.span.is_recording():
        spans.end_receive(active, set(), 0, "")
        return
    webhook = source.webhook
    messages = [event for event in webhook.events if type(event) is Message]
    numbers = {*webhook.numbers, *(message.phone_number_id for message in messages)}
    spans.end_receive(active, numbers, len(messages), webhook.result)
