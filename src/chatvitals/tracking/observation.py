"""Webhooks that the bot hands over itself, without an integration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from chatvitals import context
from chatvitals.events import Webhook
from chatvitals.pipeline import receive_span
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.runtime import spans
from chatvitals.tracking import refusals

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from chatvitals.events import WebhookResult
    from chatvitals.pipeline.webhook_sink import WebhookSink
    from chatvitals.runtime.error_guard import ErrorGuard


Headers: TypeAlias = Mapping[str, Any] | Mapping[bytes, Any] | Iterable[tuple[str, Any]] | Iterable[tuple[bytes, Any]]
"""Headers in any form of a server: a mapping or pairs, bytes or text, one value or a list of values."""

_WHERE = "observe_webhook"  # the place that errors are counted under
_SIGNATURE = "x-hub-signature-256"
_ENVIRON = "HTTP_X_HUB_SIGNATURE_256"  # the name in a WSGI environ, and in Django's `request.META`


class Observation:
    """An observed webhook. As a context manager it binds the contact while the webhook is handled.

        with vitals.observe_webhook(body, headers) as webhook:
            if not signature_fits(body, headers):
                webhook.reject()
                return "forbidden", 403

    Without an app secret, only the bot can recognise forged webhooks. The webhook counts at the end of the block, or
    at once where there is no block. A rejected webhook counts as rejected and opens no turn. An exception with which
    web frameworks answer 401, 403, 404 or 405 rejects it, too, such as that of Flask's `abort(403)`.

    Args:
        raw: the webhook.
        sink: the receiver of the webhook, which counts it. None where an integration around the bot counts it.
        guard: keeps errors of ours from the bot.
        waits: whether the webhook is counted only after the bot's verdict.

    """

    __slots__ = ("_bound", "_emit", "_guard", "_handling", "_raw", "_span", "_waits", "sink")

    def __init__(self, raw: RawWebhook, sink: WebhookSink | None, guard: ErrorGuard, *, waits: bool) -> None:
        self.sink: WebhookSink | None = sink
        """The receiver of the webhook."""
        self._raw = raw
        self._handling = context.Handling()
        self._handling.source = raw
        self._emit: Callable[[RawWebhook], None] | None = None if sink is None else sink.emit
        self._waits = waits
        self._guard = guard
        self._bound: AbstractContextManager[None] | None = None
        self._span: spans.ActiveSpan | None = None
        with guard(_WHERE):
            self._span = spans.start_receive() if sink is not None and spans.is_traced() else None
            if self._span is not None:
                raw.trace = self._handling.trace = spans.packed(self._span.span)

    @property
    def result(self) -> WebhookResult:
        """The result of the webhook: `accepted`, or the reason why it does not count."""
        return self._raw.webhook.result

    def signature(self) -> str | None:
        """Return the signature header."""
        return self._raw.signature

    def reject(self) -> None:
        """Mark this webhook as refused by the bot, within the `with` block. It has no effect with an app secret."""
        if self._waits:
            self._raw.rejected = True

    def count(self) -> None:
        """Count the webhook once."""
        emit, self._emit = self._emit, None
        if emit is not None:
            with self._guard(_WHERE):
                emit(self._raw)

    def __enter__(self) -> Self:
        with self._guard(_WHERE):
            self._handling.door = self
            bound = context.bound(self._handling)
            bound.__enter__()
            self._bound = bound
            if self._span is not None:
                self._span.enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with self._guard(_WHERE):
            if error is not None and refusals.is_one(error):
                self.reject()
            if self._span is not None:
                self._span.leave()
            if self._bound is not None:
                bound, self._bound = self._bound, None
                bound.__exit__(None, None, None)  # the binding must not see the handler's exception
        self.count()
        self._end_span()
        self._handling.end()

    def __del__(self) -> None:
        if hasattr(self, "_span"):  # else a time limit has struck in `__init__`
            self.count()  # for a webhook without a `with` block
            self._end_span()

    def _end_span(self) -> None:
        span, self._span = self._span, None
        if span is not None:
            with self._guard(_WHERE):
                receive_span.end(span, self._raw)


def observe(sink: WebhookSink, body: bytes | str, headers: Headers | None) -> Observation:
    """Observe a webhook's raw body. It never raises. With an app secret, the webhook counts at once.

    A webhook that an integration around the bot has received counts there.
    """
    with sink.guard(_WHERE):
        return _observed(sink, body, headers)
    return Observation(_unreadable("undecodable", 0.0), None, sink.guard, waits=False)  # an error of ours, counted


def _observed(sink: WebhookSink, body: bytes | str, headers: Headers | None) -> Observation:
    waits = not sink.settings.app_secret
    outer = context.watched_by(sink, signature_of, headers)
    if outer is not None and isinstance(outer.source, RawWebhook):
        return Observation(outer.source, None, sink.guard, waits=waits)
    whole = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not isinstance(whole, (bytes, bytearray, memoryview)):
        message = f"observe_webhook takes the raw body as bytes or text, not {type(body).__name__}"
        sink.guard.report(_WHERE, message=message)
        raw = _unreadable("undecodable", sink.clock())
    elif len(whole) > sink.settings.max_body:
        raw = _unreadable("oversize", sink.clock())
    else:
        raw = sink.receive(bytes(whole), signature_of(headers))
    observation = Observation(raw, sink, sink.guard, waits=waits)
    if not waits:
        observation.count()
    return observation


def _unreadable(result: WebhookResult, received: float) -> RawWebhook:
    failed = Webhook(result=result, received=received)
    return RawWebhook(lambda *_: failed, b"", None, received)


def signature_of(headers: Headers | None) -> str | None:
    """Return the signature header in any case and form. Several headers are joined, so that none of them is valid."""
    if headers is None:
        return None
    pairs: Iterable[Any] = headers.items() if hasattr(headers, "items") else headers
    values = [text for name, value in pairs if _is_signature(name) for text in _texts(value)]
    return ", ".join(values) if values else None


def _is_signature(name: object) -> bool:
    text = _text(name)
    return text is not None and (text.lower() == _SIGNATURE or text == _ENVIRON)


def _texts(value: object) -> list[str]:
    """Return the texts of a value, or of a list of values as some gateways send it."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [text for text in map(_text, values) if text is not None]


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, bytearray)) else None
