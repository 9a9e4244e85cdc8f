"""Spans of webhooks: children of the server's span, wherever its middleware stands, and never about a person."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, get_current_span

from chatvitals.events import Webhook
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.runtime import spans
from tests.conftest import SECRET, sign, webhook_body

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from chatvitals.integrations.asgi import ASGIApp, Receive, Scope, Send
    from chatvitals.vitals import Vitals
    from tests.conftest import AsgiDriver, DoorVitals
    from tests.helpers.tracing import Traced

BODY = webhook_body("393331234567", "wamid.1")


def server(traced: Traced, app: ASGIApp) -> ASGIApp:
    """Return a middleware that opens the server's span, as instrumentations do."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        with traced.tracer.start_as_current_span("POST /webhook", kind=SpanKind.SERVER):
            await app(scope, receive, send)

    return serve


def test_a_webhook_is_a_child_of_the_request(asgi: AsgiDriver, door: type[DoorVitals], traced: Traced) -> None:
    """It tells the number and how many messages came, and is current while the bot handles them."""
    seen: list[int] = []

    def handle(_: bytes) -> None:
        seen.append(get_current_span().get_span_context().span_id)

    app = server(traced, ChatVitalsMiddleware(asgi.bot(before=handle), door(app_secret=SECRET)))
    asgi.call(app, asgi.signed(BODY), [asgi.chunk(BODY)])
    span = traced.span("receive 1")
    parent = traced.span("POST /webhook")
    assert span.kind is SpanKind.CONSUMER
    assert span.parent is not None
    assert span.parent.span_id == parent.context.span_id
    assert seen == [span.context.span_id]
    assert dict(span.attributes or {}) == {
        "messaging.system": "whatsapp",
        "messaging.operation.type": "receive",
        "messaging.operation.name": "receive",
        "messaging.destination.name": "1",
        "messaging.batch.message_count": 1,
    }
    assert "393331234567" not in traced.told()
    assert "wamid" not in traced.told()


def test_the_tracing_middleware_may_stand_inside_of_ours(
    asgi: AsgiDriver, door: type[DoorVitals], traced: Traced
) -> None:
    """Then the webhook joins the trace when its body is read."""
    app = ChatVitalsMiddleware(server(traced, asgi.bot()), door(app_secret=SECRET))
    asgi.call(app, asgi.signed(BODY), [asgi.chunk(BODY)])
    assert traced.span("receive 1").context.trace_id == traced.span("POST /webhook").context.trace_id


def test_what_is_current_after_a_webhook_is_what_was_before(
    asgi: AsgiDriver, door: type[DoorVitals], traced: Traced
) -> None:
    """Also where the application raises."""

    def fail(_: bytes) -> None:
        raise KeyError("bot")

    app = ChatVitalsMiddleware(asgi.bot(before=fail), door(app_secret=SECRET))

    async def serve() -> None:
        with traced.tracer.start_as_current_span("POST /webhook") as span:
            await asgi.acall(app, asgi.signed(BODY), [asgi.chunk(BODY)])
            assert get_current_span() is span

    asyncio.run(serve())
    assert traced.span("receive 1").end_time is not None


def test_a_webhook_of_wsgi_is_a_child_of_the_request(door: type[DoorVitals], traced: Traced) -> None:
    """The span does not stay current in the server's thread, which serves others next."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"ok"]

    vitals = door(app_secret=SECRET)
    wrapped = ChatVitalsWSGIMiddleware(app, vitals)
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/webhook",
        "CONTENT_LENGTH": str(len(BODY)),
        "HTTP_X_HUB_SIGNATURE_256": sign(BODY),
        "wsgi.input": io.BytesIO(BODY),
    }
    with traced.tracer.start_as_current_span("POST /webhook") as parent:
        assert list(wrapped(environ, lambda *_: None)) == [b"ok"]
        assert get_current_span() is parent
    assert traced.span("receive 1").context.trace_id == parent.get_span_context().trace_id
    webhook = vitals.emitted[0]
    assert isinstance(webhook, Webhook)
    assert webhook.trace == spans.packed(traced.live["receive 1"])


def test_a_forged_webhook_is_an_error(asgi: AsgiDriver, door: type[DoorVitals], traced: Traced) -> None:
    """`error.type` is the label of `webhooks_total`."""
    app = server(traced, ChatVitalsMiddleware(asgi.bot(), door(app_secret=SECRET)))
    asgi.call(app, asgi.scope((b"x-hub-signature-256", b"sha256=00")), [asgi.chunk(BODY)])
    assert (traced.span("receive").attributes or {})["error.type"] == "bad_signature"


def test_a_webhook_that_the_bot_hands_over_is_a_span(start: Callable[..., Vitals], traced: Traced) -> None:
    """`observe_webhook` is a door like any other. Its span ends with the block."""
    vitals = start()
    with (
        traced.tracer.start_as_current_span("lambda") as parent,
        vitals.observe_webhook(BODY),
        traced.tracer.start_as_current_span("handle"),
    ):
        pass
    receive, handle = traced.span("receive 1"), traced.span("handle")
    assert receive.parent is not None
    assert handle.parent is not None
    assert receive.parent.span_id == parent.get_span_context().span_id
    assert handle.parent.span_id == receive.context.span_id


def test_a_trace_that_is_not_sampled_leaves_nothing_in_the_webhook(
    asgi: AsgiDriver, door: type[DoorVitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a span of its turn nor an exemplar could be found."""
    off = TracerProvider(sampler=ALWAYS_OFF).get_tracer("chatvitals")
    monkeypatch.setattr(spans, "_tracer", off)
    vitals = door(app_secret=SECRET)
    app = ChatVitalsMiddleware(asgi.bot(), vitals)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        with off.start_as_current_span("POST /webhook"):
            await app(scope, receive, send)

    asgi.call(serve, asgi.signed(BODY), [asgi.chunk(BODY)])
    webhook = vitals.emitted[0]
    assert isinstance(webhook, Webhook)
    assert webhook.trace == b""


def test_a_provider_that_raises_breaks_no_webhook(
    asgi: AsgiDriver, door: type[DoorVitals], traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sampler of the bot's may have a bug. The webhook is counted and handled all the same."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("sampler")

    monkeypatch.setattr(spans._tracer, "start_span", broken)
    vitals = door(app_secret=SECRET)
    exchange = asgi.call(
        server(traced, ChatVitalsMiddleware(asgi.bot(), vitals)), asgi.signed(BODY), [asgi.chunk(BODY)]
    )
    assert exchange.error is None
    assert vitals.results == ["accepted"]
