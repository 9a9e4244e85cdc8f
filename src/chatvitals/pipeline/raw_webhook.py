"""A webhook that was taken in and is read later: on the pipeline's thread, or when its handling first needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.context import contacts_of
from chatvitals.events import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.context import ContactIds

_BYTES_AN_EVENT: Final = 1000  # of a body, about; who waits in the queue is measured before anybody has read it


class RawWebhook:
    """The body of one POST. Two threads may read it at once: they find the same, and either's may stay.

    Args:
        read: checks the signature and decodes; never raises.
        body: the bytes as they came; they are let go once they have been read.
        signature: the header that came along, if any.
        received: when it came, in Unix seconds of the local clock.

    """

    __slots__ = ("_body", "_contacts", "_read", "_signature", "_webhook", "received", "rejected", "trace", "weight")

    def __init__(
        self, read: Callable[[bytes, str | None, float], Webhook], body: bytes, signature: str | None, received: float
    ) -> None:
        self.received = received
        self.rejected = False
        """Whether the application disowned what nobody else could tell to be forged."""
        self.weight = 1 + len(body) // _BYTES_AN_EVENT
        """About how many events it holds."""
        self.trace = b""
        """The context of the span in which it was received, as `spans.packed` returns it."""
        self._read = read
        self._body: bytes | None = body
        self._signature = signature
        self._webhook: Webhook | None = None
        self._contacts: tuple[ContactIds, ...] | None = None

    @property
    def webhook(self) -> Webhook:
        """What it says, as it is to be counted."""
        webhook = self._webhook
        if webhook is None:
            webhook = self._first_read()
        if self.rejected and webhook.result == "accepted":
            return Webhook(result="rejected", received=self.received)
        return webhook

    @property
    def contacts(self) -> tuple[ContactIds, ...]:
        """Whose messages it brought; nobody's where it does not count."""
        if self.rejected:
            return ()
        contacts = self._contacts
        if contacts is None:
            contacts = self._contacts = contacts_of(self.webhook.events)
        return contacts

    @property
    def refusal(self) -> str:
        """Why it does not count; empty where it does."""
        result = self.webhook.result
        return "" if result == "accepted" else result

    def _first_read(self) -> Webhook:
        body = self._body
        if body is None and self._webhook is not None:  # another thread has read it meanwhile
            return self._webhook
        webhook = self._read(body or b"", self._signature, self.received)
        webhook.trace = self.trace
        self._webhook = webhook  # before the body goes: see above
        self._body = None
        return webhook
