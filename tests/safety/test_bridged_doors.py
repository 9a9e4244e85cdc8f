"""One webhook through several watchers that pass no mark on: bridges between ASGI and WSGI, and `observe_webhook`."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.wsgi import WsgiToAsgi

from chatvitals import context
from chatvitals.context import ContactIds
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.aws_lambda import lambda_handler
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.tracking.observation import observe
from tests.conftest import SECRET, sign, webhook_body
from tests.helpers.doors import DOORS, Answer
from tests.helpers.server_doors import SERVER_DOORS

if TYPE_CHECKING:
    from tests.conftest import DoorVitals
    from tests.helpers.doors import AsgiDoor, WsgiDoor
    from tests.helpers.server_doors import ServerDoor

    Door = AsgiDoor | WsgiDoor | ServerDoor

ALL: dict[str, Door] = {**DOORS, **SERVER_DOORS}
CONTACT = ContactIds("1", "393331234567", "")
BODY, OTHER = webhook_body("393331234567", "wamid.1"), webhook_body("393339999999", "wamid.2")
SIGNED = {"x_hub_signature_256": sign(BODY), "content_length": str(len(BODY))}


@pytest.fixture(params=sorted(ALL))
def kind(request: pytest.FixtureRequest) -> Door:
    """Each door."""
    return ALL[request.param]


def to_asgi(wsgi: Any, *, late: bool = False) -> Any:
    """Return an ASGI application around a WSGI application, as bridges make it: it runs in a thread.

    Args:
        wsgi: the application.
        late: whether the body is received only when the application reads it, as a2wsgi does.

    """

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()

        async def received() -> bytes:
            body, more = b"", True
            while more:
                message = await receive()
                body += message["body"]
                more = message["more_body"]
            return body

        class Late:
            def read(self, *_: Any) -> bytes:
                return asyncio.run_coroutine_threadsafe(received(), loop).result(10)

        environ = {f"HTTP_{k.decode().upper().replace('-', '_')}": v.decode() for k, v in scope["headers"]}
        environ |= {"REQUEST_METHOD": scope["method"], "PATH_INFO": scope["path"], "SCRIPT_NAME": ""}
        environ |= {"wsgi.input": Late() if late else io.BytesIO(await received())}
        started: list[int] = []
        pieces = await asyncio.to_thread(lambda: list(wsgi(environ, lambda status, _: started.append(int(status[:3])))))
        await send({"type": "http.response.start", "status": started[0], "headers": []})
        await send({"type": "http.response.body", "body": b"".join(pieces)})

    return asgi


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("secrets", [(SECRET, SECRET), ("", "")])
def test_19_a_bridge_between_two_doors_counts_a_webhook_once(
    door: type[DoorVitals],
    secrets: tuple[str, ...],
    late: bool,  # noqa: FBT001 - a parameter
) -> None:
    """The outer door counts, and the handler knows its contact."""
    vitals = door(app_secret=secrets[0]) if secrets[0] else door()
    known: list[tuple[ContactIds, ...]] = []

    def handle(_: bytes) -> Answer:
        known.append(context.handled())
        return Answer()

    wsgi = ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(handle), vitals)
    app = ChatVitalsMiddleware(to_asgi(wsgi, late=late), vitals)
    for _ in range(2):  # WhatsApp repeats it, which counts again
        assert DOORS["asgi"].call(app, [BODY], **SIGNED).pieces == [b"ok"]
    assert vitals.results == ["accepted", "accepted"]
    assert known == [(CONTACT,)] * 2


def test_19_asgiref_s_bridge_counts_a_webhook_once(door: type[DoorVitals]) -> None:
    """As Django's own ASGI does, it runs the application in a thread with the context."""
    vitals = door(app_secret=SECRET)
    wsgi = ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(lambda body: Answer(pieces=[body])), vitals)
    app = ChatVitalsMiddleware(WsgiToAsgi(wsgi), vitals)  # type: ignore[no-untyped-call]  # asgiref has no types here

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        async def whole(message: Any) -> None:
            await send({"body": b"", **message})

        await app({**scope, "query_string": b"", "http_version": "1.1", "scheme": "http"}, receive, whole)

    assert DOORS["asgi"].call(asgi, [BODY], **SIGNED).pieces == [BODY]
    assert vitals.results == ["accepted"]


def test_20_two_vitals_on_both_sides_of_a_bridge_count_for_themselves(door: type[DoorVitals]) -> None:
    """Each is outermost for its own."""
    one, two = door(app_secret=SECRET), door(app_secret=SECRET)
    wsgi = ChatVitalsWSGIMiddleware(ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(lambda _: Answer()), one), two)
    DOORS["asgi"].call(ChatVitalsMiddleware(to_asgi(wsgi), one), [BODY], **SIGNED)
    assert [one.results, two.results] == [["accepted"], ["accepted"]]


def test_a_webhook_that_a_handler_passes_on_counts_as_another_one(door: type[DoorVitals]) -> None:
    """A bot may divide a batch among its parts. Another body has another signature."""
    vitals = door(app_secret=SECRET)
    part = ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(lambda _: Answer()), vitals)

    def divide(_: bytes) -> Answer:
        DOORS["wsgi"].call(part, [OTHER], x_hub_signature_256=sign(OTHER))
        DOORS["wsgi"].call(part, [OTHER])
        return Answer()

    DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(divide), vitals), [BODY], **SIGNED)
    assert vitals.results == ["accepted", "accepted", "unsigned"]


@pytest.mark.parametrize("secret", [SECRET, ""])
def test_19_observe_webhook_within_a_door_counts_once(kind: Door, door: type[DoorVitals], secret: str) -> None:
    """The door counts, and the block knows the contact and the result."""
    vitals = door(app_secret=secret) if secret else door()
    known: list[Any] = []

    def handle(body: bytes) -> Answer:
        with observe(vitals.webhook_sink, body, {"X-Hub-Signature-256": sign(BODY)}) as webhook:
            known.append((webhook.result, context.handled()))
        known.append(context.handled())
        observe(vitals.webhook_sink, body, {"X-Hub-Signature-256": sign(BODY)})
        return Answer()

    assert kind.call(kind.wrap(kind.app(handle), vitals), [BODY], **SIGNED).pieces == [b"ok"]
    assert vitals.results == ["accepted"]
    assert known == [("accepted", (CONTACT,)), (CONTACT,)]


def test_what_observe_webhook_rejects_within_a_door_is_rejected(kind: Door, door: type[DoorVitals]) -> None:
    """Whatever the bot answers then."""
    vitals = door()

    def handle(body: bytes) -> Answer:
        with observe(vitals.webhook_sink, body, {"X-Hub-Signature-256": sign(BODY)}) as webhook:
            webhook.reject()
        return Answer()

    kind.call(kind.wrap(kind.app(handle), vitals), [BODY], **SIGNED)
    assert vitals.results == ["rejected"]


def test_observe_webhook_of_another_body_within_a_door_counts(kind: Door, door: type[DoorVitals]) -> None:
    """A queue's consumer may run within a request."""
    vitals = door(app_secret=SECRET)

    def handle(_: bytes) -> Answer:
        observe(vitals.webhook_sink, OTHER, {"X-Hub-Signature-256": sign(OTHER)})
        return Answer()

    kind.call(kind.wrap(kind.app(handle), vitals), [BODY], **SIGNED)
    assert vitals.results == ["accepted", "accepted"]


@pytest.mark.parametrize("form", ["with", "alone"])
def test_observe_webhook_twice_in_one_block_counts_once(door: type[DoorVitals], form: str) -> None:
    """Two helpers of one bot may both hand the webhook over."""
    vitals, headers = door(app_secret=SECRET), {"X-Hub-Signature-256": sign(BODY)}
    with observe(vitals.webhook_sink, BODY, headers):
        inner = observe(vitals.webhook_sink, BODY, headers)
        if form == "with":
            with inner:
                assert context.handled() == (CONTACT,)
    observe(vitals.webhook_sink, BODY, headers)  # a repetition
    assert vitals.results == ["accepted", "accepted"]


def test_an_asgi_door_within_a_lambda_function_counts_once(door: type[DoorVitals]) -> None:
    """Adapters such as Mangum run the application in the same context."""

    class Settling(door):  # type: ignore[misc, valid-type]  # the stand-in, with what Lambda needs besides
        def settle(self, timeout: float = 5.0) -> None:
            """Do nothing."""

    vitals = Settling(app_secret=SECRET)
    app = ChatVitalsMiddleware(DOORS["asgi"].app(lambda _: Answer()), vitals)

    def function(event: Any, _: Any) -> dict[str, Any]:
        return {"statusCode": DOORS["asgi"].call(app, [event["body"].encode()], **SIGNED).status}

    event = {"httpMethod": "POST", "path": "/webhook", "body": BODY.decode()}
    event["headers"] = {"X-Hub-Signature-256": sign(BODY)}  # type: ignore[assignment]  # an event holds all kinds
    assert lambda_handler(vitals, function)(event, None) == {"statusCode": 200}
    assert vitals.results == ["accepted"]


def test_requests_without_a_signature_are_never_taken_for_one(door: type[DoorVitals]) -> None:
    """Nothing tells whether they are the same, and a message counts once by its id in any case."""
    vitals = door()
    wsgi = ChatVitalsWSGIMiddleware(DOORS["wsgi"].app(lambda _: Answer()), vitals)
    DOORS["asgi"].call(ChatVitalsMiddleware(to_asgi(wsgi), vitals), [BODY])
    assert vitals.results == ["accepted", "accepted"]
