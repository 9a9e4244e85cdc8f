"""One delivery of a webhook, shared by all integrations: its body is copied, and the bot's verdict is read."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from chatvitals import context
from chatvitals.events import AccountEvent, Webhook
from chatvitals.integrations import _verdicts
from chatvitals.pipeline import receive_span
from chatvitals.runtime import spans
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from chatvitals.pipeline.raw_webhook import RawWebhook
    from chatvitals.pipeline.webhook_sink import WebhookSink

SEEN: Final = "chatvitals"
"""Key of an ASGI scope or a WSGI environ for the deliveries of this request, the outermost first."""


class DoorVitals(Protocol):
    """The parts of `Vitals` that an integration needs."""

    @property
    def webhook_sink(self) -> WebhookSink:
        """The receiver of webhooks."""


class Delivery(msgspec.Struct, eq=False, weakref=True):
    """One POST on the webhook path, while the application handles it. Integrations derive from it.

    Each `except` here does the guard's work without a context manager, whose calls cost as much as the protected code.
    """

    where = "door"
    """The place that errors are counted under."""

    _sink: WebhookSink
    handling: context.Handling = msgspec.field(default_factory=context.Handling)
    _chunks: list[bytes] | None = []  # None once copying has ended
    _size: int = 0
    _declared: int = -1  # bytes; negative until it is needed
    _unread: RawWebhook | None = None  # received, and not yet emitted
    _status: object = None  # of the response, once it has started
    _acknowledges: bool = False  # whether an error of the application becomes 200, a setting for account events only
    _token: Token[context.Handling | None] | None = None
    _span: spans.ActiveSpan | None = None

    __repr__ = object.__repr__  # the body must not show in a traceback

    def __post_init__(self) -> None:
        """Let the handling know its request."""
        self.handling.door = self

    def signature(self) -> str | None:
        """Return the signature header. Several headers are joined, so that none of them is valid."""
        raise NotImplementedError

    def declared_length(self) -> int:
        """Return the declared length of the body in bytes, or 0 where there is no valid length."""
        raise NotImplementedError

    def enter(self, seen: object) -> tuple[Delivery, ...]:
        """Bind the contacts of this webhook, and return the mark of its request, see `within`. It may raise."""
        self.begin()
        return self.within(seen)

    def begin(self) -> None:
        """Bind the contacts of this webhook. It may raise."""
        self._token = context.bind(self.handling)
        if spans.is_traced():
            self._span = spans.start_receive()
            if self._span is not None:
                self._span.enter()

    def bind(self) -> None:
        """Bind the contacts and the span of this webhook until `unbind`. It may raise."""
        self._token = context.bind(self.handling)
        if self._span is not None:
            self._span.enter()

    def unbind(self) -> None:
        """Restore the previous binding. It never raises."""
        try:
            if self._span is not None:
                self._span.leave()
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report(self.where, error)
        token, self._token = self._token, None
        if token is not None:
            try:
                context.reset(token)
            except ValueError:
                pass  # the token belongs to another context, which ends with its task
            except Exception as error:  # noqa: BLE001 - as above
                self._sink.guard.report(self.where, error)

    def end(self) -> None:
        """Emit a webhook whose verdict never came, and restore the previous binding. It never raises."""
        try:
            if self._unread is not None:
                self._emit()
            elif not self._size and self._chunks is not None and self._status is not None:
                self._wait_for_reader()
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report(self.where, error)
        self.unbind()
        try:
            self.handling.end()
            if self._span is not None:
                receive_span.end(self._span, self.handling.source)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self._sink.guard.report(self.where, error)

    @property
    def sink(self) -> WebhookSink:
        """The receiver of the webhook."""
        return self._sink

    def within(self, seen: object) -> tuple[Delivery, ...]:
        """Return the mark of a request for integrations further in. Deliveries of other `Vitals` stay in it."""
        if isinstance(seen, tuple):
            self.handling.outer = seen[-1].handling
            return (*seen, self)
        token = self._token
        if token is not None and type(token.old_value) is context.Handling:
            self._join(token.old_value)
        return (self,)

    def _join(self, bound: context.Handling) -> None:
        """Record the outer handling of the same request, where a bridge has dropped the mark."""
        own = self.signature()
        if own is not None and bound.door is not None and bound.door.signature() == own:
            self.handling.outer = bound

    def around(self, seen: object) -> tuple[Delivery, ...]:
        """Return the mark of a request, like `within`, where this integration binds before those in the mark."""
        if not isinstance(seen, tuple):
            return (self,)
        inner = seen[-1].handling
        self.handling.outer, inner.outer = inner.outer, self.handling
        return (*seen, self)

    @property
    def is_copying(self) -> bool:
        """Whether more of the body is to be copied."""
        return self._chunks is not None

    def report(self, error: Exception) -> None:
        """Count an error of chatvitals."""
        self._sink.guard.report(self.where, error)

    def forget(self) -> None:
        """Stop copying, because the client has gone or the body cannot be followed."""
        self._chunks = None

    def restart(self) -> None:
        """Drop the copied pieces, because the application reads the body from its beginning."""
        if self._chunks is not None:
            self._chunks, self._size = [], 0

    def copy(self, piece: bytes, *, last: bool) -> None:
        """Copy a piece of the body. The last piece completes the webhook, before the application gets that piece.

        A body is also complete when its declared length has come (tests/safety/README.md 58).
        """
        if self._chunks is None:
            return
        most = self._sink.settings.max_body
        self._size += len(piece)
        if not last and self._declared < 0:
            self._declared = self.declared_length()
        # The declared length avoids copies of megabytes that would be dropped.
        if self._size > most or (not last and self._declared > most):
            self._chunks = None
            self._sink.emit(Webhook(result="oversize", received=self._sink.clock()))
            return
        self._chunks.append(bytes(piece))
        if last or 0 < self._size == self._declared:
            whole = b"".join(self._chunks)
            self._chunks = None
            self._take(whole)

    def answered(self, status: object) -> bool:
        """Record the status of the answer. Return whether 200 replaces it."""
        self._status = status
        if self._unread is not None:
            self._emit()
        return self._acknowledges and isinstance(status, int) and status >= 400

    def let_go(self) -> None:
        """Drop the reference to the request, if the request refers to this object."""

    def _wait_for_reader(self) -> None:
        """Count a webhook that was answered unread, once its body cannot be read any more.

        A thread that the handler has started may still do so. It holds the request, and the request this object.
        """
        self.let_go()
        signed, declared = self.signature() is not None, self.declared_length()
        weakref.finalize(
            self, _verdicts.count_unread, self._sink, self.handling, self._status, signed=signed, declared=declared
        )

    def _take(self, body: bytes) -> None:
        """Receive the webhook. Without an app secret, it is emitted only after the application's verdict."""
        settings = self._sink.settings
        unread = self._sink.receive(body, self.signature())
        if self._span is None and spans.is_traced():
            self._span = spans.start_receive()  # the tracing middleware is within this one; it knows its span by now
        if self._span is not None:
            unread.trace = self.handling.trace = spans.packed(self._span.span)
        self.handling.source = unread
        if settings.acknowledge_account_events:
            self._acknowledges = about_account_only(unread.webhook)
        if settings.app_secret:
            self._sink.emit(unread)
            return
        self._unread = unread
        if self._status is not None:
            self._emit()

    def _emit(self) -> None:
        """Emit the webhook once. It counts as rejected if only the application could reject it and did so.

        An application that raises before it answers has not rejected the webhook, because its server answers 500.
        """
        unread, self._unread = self._unread, None
        if unread is not None:
            unread.rejected = unread.rejected or _verdicts.is_rejection(self._sink.settings, self._status)
            self._sink.emit(unread)


def about_account_only(webhook: Webhook) -> bool:
    """Return whether a complete webhook concerns no person, so that nothing is lost if it is not repeated."""
    return (
        webhook.result == "accepted"
        and not webhook.malformed
        and bool(webhook.events)
        and all(type(event) is AccountEvent for event in webhook.events)
        and all(field in enums.BUSINESS_FIELDS for field, _ in webhook.fields)
    )


def is_seen(sink: WebhookSink, seen: object, signature: Callable[[Any], str | None], request: object) -> bool:
    """Return whether an outer integration counts this request for the same sink.

    Args:
        sink: the receiver of the webhook.
        seen: the mark of the request.
        signature: function that returns the signature header. A bridge between ASGI and WSGI drops the mark.
        request: the argument of that function.

    """
    if seen is None and context.bound_handling() is None:  # nearly always
        return False
    if isinstance(seen, tuple) and any(getattr(other, "sink", None) is sink for other in seen):
        return True
    return context.watched_by(sink, signature, request) is not None


def warn_if_open(sink: WebhookSink, path: str) -> None:
    """Warn that everybody who reaches the webhook can read the metrics, unless a token is set."""
    if sink.settings.metrics_token is None:
        sink.advice.once(
            f"{path} is open to everyone who can reach the webhook. "
            "Set metrics_token (or CHATVITALS_METRICS_TOKEN) to ask for a bearer token.",
            topic="open metrics",
        )
