"""Webhooks that go to another path than the one that is watched: the most common mistake of a first set-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatvitals.pipeline.webhook_sink import WebhookSink

_MARK: Final = b"whatsapp_business_account"
_MOST_BYTES: Final = 4096  # the mark stands at the top of each body of WhatsApp's


class Lookout:
    """One POST on a path that nobody watches, while the application reads its body.

    A door makes one only until the first webhook has come, so a bot that works pays nothing.

    Args:
        sink: told of the path when the body is WhatsApp's.
        path: where the request goes.

    """

    __slots__ = ("_path", "_sink", "_start", "is_copying")

    def __init__(self, sink: WebhookSink, path: object) -> None:
        sink.looks += 1
        self._sink = sink
        self._path = path
        self._start = b""
        self.is_copying = True
        """Whether more of the body is to be looked at."""

    def copy(self, piece: bytes, *, last: bool) -> None:
        """Look at a piece of the body; never raises."""
        try:
            self._start += bytes(piece[:_MOST_BYTES])
            if _MARK in self._start:
                self.forget()
                self._sink.lost(str(self._path))
            elif last or len(self._start) >= _MOST_BYTES:
                self.forget()
        except Exception as error:  # noqa: BLE001 - the fence
            self.forget()
            self.report(error)

    def forget(self) -> None:
        """Look at nothing more."""
        self.is_copying = False
        self._start = b""

    def restart(self) -> None:
        """Begin again: the application reads the body from its beginning."""
        self._start = b""

    def report(self, error: Exception) -> None:
        """Count an error of ours."""
        self._sink.guard.report("lost_webhook", error)
