"""A webhook that is decoded later, on the pipeline's thread or when its handling first needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.context import ContactIds
from chatvitals.events import Message, Webhook
from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatvitals.events import Event

    Reader = Callable[[bytes, str | None, float], Webhook]

_BYTES_AN_EVENT: Final = 1000  # rough size of an event: queue size is counted before a body is decoded


class RawWebhook:
    """The body of one POST. Two threads may decode it at once. Both get the same result, and either may be kept.

    Args:
        read: function that checks the signature and decodes. It never raises.
        body: the raw bytes. They are freed once they have been decoded.
        signature: the signature header, if any.
        received: time of arrival in Unix seconds of the local clock.

    """

    __slots__ = ("_body", "_contacts", "_read", "_webhook", "received", "rejected", "signature", "trace", "weight")

    def __init__(self, read: Reader, body: bytes, signature: str | None, received: float) -> None:
        self.received = received
        self.rejected = False
        """Whether the application rejected a webhook that only it could recognise as forged."""
        self.weight = 1 + len(body) // _BYTES_AN_EVENT
        """Estimated number of events."""
        self.trace = b""
        """The context of the span in which it was received, from `spans.packed`."""
        self._read = read
        self._body: bytes | None = body
        self.signature = signature
        """The signature header, if any."""
        self._webhook: Webhook | None = None
        self._contacts: tuple[ContactIds, ...] | None = None

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
