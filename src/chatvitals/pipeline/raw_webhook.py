"""A webhook that is decoded later, on the pipeline's thread or when its handling first needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.context import ContactIds
from chatvitals.events import Message, Webhook
from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatvitals.events import Event

    Reader = Callable[[bytes, str | None, float], Webhook]

BYTES_AN_EVENT: Final = 1000
"""Rough size of an event. The size of the queue is counted before a body is decoded."""


class RawWebhook(msgspec.Struct, eq=False):
    """The body of one POST. Two threads may decode it at once. Both get the same result, and either may be kept.

    Args:
        read: function that checks the signature and decodes. It never raises.
        body: the raw bytes. They are freed once they have been decoded.
        signature: the signature header, if any.
        received: time of arrival in Unix seconds of the local clock.
        weight: estimated number of events: one, and one more for each `BYTES_AN_EVENT`.

    """

    _read: Reader
    _body: bytes | None
    signature: str | None
    """The signature header, if any."""
    received: float
    weight: int = 1
    """Estimated number of events."""
    rejected: bool = False
    """Whether the application rejected a webhook that only it could recognise as forged."""
    trace: bytes = b""
    """The context of the span in which it was received, from `spans.packed`."""
    _webhook: Webhook | None = None
    _contacts: tuple[ContactIds, ...] | None = None

    __repr__ = object.__repr__  # the body must not show in a traceback

    @property
    def webhook(self) -> Webhook:
        """The decoded webhook, in the form that is counted."""
        webhook = self._webhook
        if webhook is None:
            webhook = self._first_read()
        if self.rejected and webhook.result == "accepted":
            return Webhook(result="rejected", received=self.received)
        return webhook

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """The contacts whose messages it brought. The tuple is empty where it does not count."""
        if self.rejected:
            return ()
        contacts = self._contacts
        if contacts is None:
            contacts = self._contacts = contacts_of(self.webhook.events)
        return contacts

    @property
    def refusal(self) -> str:
        """The reason why it does not count. It is empty where it counts."""
        result = self.webhook.result
        return "" if result == "accepted" else result

    def _first_read(self) -> Webhook:
        body = self._body
        if body is None and self._webhook is not None:  # another thread has decoded it meanwhile
            return self._webhook
        webhook = self._read(body or b"", self.signature, self.received)
        webhook.trace = self.trace
        self._webhook = webhook  # set before the body is freed, because another thread may decode it, too
        self._body = None
        return webhook


def contacts_of(events: Iterable[Event]) -> tuple[ContactIds, ...]:
    """Return the distinct contacts whose messages are among `events`, in order. Group messages have none.

    Several messages of one person may show different ids, or spellings of a phone number.
    """
    found: list[ContactIds] = []
    places: dict[tuple[str, str], int] = {}  # of each id in `found`
    for event in events:
        if type(event) is not Message or event.group or not (event.wa_id or event.user_id):
            continue
        number = event.phone_number_id
        ids = [(number, person_id) for person_id in (event.user_id, canonical(event.wa_id)) if person_id]
        place = next((places[key] for key in ids if key in places), len(found))
        if place == len(found):
            found.append(ContactIds(number, event.wa_id, event.user_id))
        else:
            known = found[place]
            found[place] = ContactIds(number, known.wa_id or event.wa_id, known.user_id or event.user_id)
        places.update(dict.fromkeys(ids, place))
    return tuple(found)
