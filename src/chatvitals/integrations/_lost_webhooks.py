"""Detection of webhooks on a path that is not watched, which is the most common mistake of a first set-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatvitals.pipeline.webhook_sink import WebhookSink

_MARK: Final = b"whatsapp_business_account"
_MOST_BYTES: Final = 4096  # the mark is at the start of each body of WhatsApp


class Lookout:
    """One POST on a path that is not watched, while the application reads its body.

    Integrations create lookouts only until the first webhook has come, so a working bot pays nothing.

    Args:
        sink: gets the path if the body comes from WhatsApp.
        path: path of the request.

    """

    __slots__ = ("_path", "_sink", "_start", "is_copying")

    def __init__(self, sink: WebhookSink, path: object) -> None:
        sink.looks += 1
        self._sink = sink
        self._path = path
        self._start = b""
        self.is_copying: bool = True
        """Whether more of the body is to be checked."""

    def copy(self, piece: bytes, *, last: bool) -> None:
        """Check a piece of the body. It never raises."""
        try:
            self._start += bytes(piece[:_MOST_BYTES])
            if _MARK in self._start:
                self.forget()
                self._sink.lost(str(self._path))
            elif last or len(self._start) >= _MOST_BYTES:
                self.forget()
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self.forget()
            self.report(error)

    def forget(self) -> None:
        """Stop checking."""
        self.is_copying = False
        self._start = b""

    def restart(self) -> None:
        """Drop the checked pieces, because the application reads the body from its beginning."""
        self._start = b""

    def report(self, error: Exception) -> None:
        """Count an error of chatvitals."""
        self._sink.guard.report("lost_webhook", error)
