"""Webhooks that the bot answers without reading them. Every door counts them alike, and reads nothing in its place."""

from __future__ import annotations

import gc
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.runtime import advice
from tests.conftest import SECRET, sign, webhook_body
from tests.helpers.doors import DOORS, Answer
from tests.helpers.server_doors import SERVER_DOORS

if TYPE_CHECKING:
    from tests.conftest import DoorVitals
    from tests.helpers.doors import AsgiDoor, WsgiDoor
    from tests.helpers.server_doors import ServerDoor

    Door = AsgiDoor | WsgiDoor | ServerDoor

ALL: dict[str, Door] = {**DOORS, **SERVER_DOORS}
BODY = webhook_body("393331234567", "wamid.1")
LENGTH = {"content_length": str(len(BODY))}
SIGNED = {"x_hub_signature_256": sign(BODY), **LENGTH}


@pytest.fixture(params=sorted(ALL))
def kind(request: pytest.FixtureRequest) -> Door:
    """Each door."""
    return ALL[request.param]


def results(kind: Door, vitals: DoorVitals, status: int = 200, **headers: str) -> list[str]:
    """Post a webhook to a bot that does not read it. Return what has been counted."""
    app = kind.wrap(kind.app(lambda _: Answer(status), read=False), vitals)
    assert kind.call(app, [BODY], **headers).status == status
    gc.collect()
    return vitals.results


@pytest.mark.parametrize(
    ("secret", "headers", "status", "result"),
    [
        (None, LENGTH, 200, "unread"),
        (None, LENGTH, 202, "unread"),
        (None, LENGTH, 500, ""),
        (None, LENGTH, 403, "rejected"),
        (SECRET, SIGNED, 200, "unread"),
        (SECRET, SIGNED, 403, ""),
        (SECRET, LENGTH, 200, "unsigned"),
        (SECRET, LENGTH, 403, "unsigned"),
    ],
)
def test_a_webhook_that_is_answered_unread_counts_as_that(
    kind: Door, door: type[DoorVitals], secret: str | None, headers: dict[str, str], status: int, result: str
) -> None:
    """A framework that has read the body before the bot asks counts it as usual. After an error it comes again."""
    vitals = door(app_secret=secret) if secret else door()
    if kind.reads_itself and result in {"", "unread"}:
        result = "accepted"
    assert results(kind, vitals, status, **headers) == [result] * bool(result)
    assert kind.reads_itself or vitals.read == []


@pytest.mark.parametrize(("status", "advised"), [(200, True), (202, True), (404, False), (500, False)])
@pytest.mark.parametrize("name", [name for name, kind in ALL.items() if not kind.reads_itself])
def test_the_log_advises_once_where_the_bot_has_accepted_it(
    name: str, door: type[DoorVitals], caplog: pytest.LogCaptureFixture, status: int, *, advised: bool
) -> None:
    """A bot that refuses a webhook need not read it."""
    vitals = door(app_secret=SECRET)
    with caplog.at_level(logging.WARNING, "chatvitals"):
        for _ in range(3):
            results(ALL[name], vitals, status, **SIGNED)
    assert [record.getMessage() for record in caplog.records] == [advice.UNREAD] * advised
    assert vitals.results == ["unread"] * 3 * advised


@pytest.mark.parametrize("name", [name for name, kind in ALL.items() if not kind.reads_itself])
def test_a_bot_that_raises_unread_has_not_answered(name: str, door: type[DoorVitals]) -> None:
    """WhatsApp sends it again."""
    kind, vitals = ALL[name], door()

    def fail(_: bytes) -> Answer:
        raise ValueError("host")

    kind.call(kind.wrap(kind.app(fail, read=False), vitals), [BODY], **LENGTH)
    gc.collect()
    assert vitals.results == []


def test_a_part_of_a_body_counts_nothing(door: type[DoorVitals]) -> None:
    """The client may have gone in the middle, which some servers show by nothing else."""
    vitals = door()

    def wsgi(environ: Any, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(10)
        start_response("200 OK", [])
        return [b"ok"]

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(wsgi, vitals), [BODY], **LENGTH)
    DOORS["asgi"].call(ChatVitalsMiddleware(asgi, vitals), [BODY[:10], BODY[10:]], **LENGTH)
    gc.collect()
    assert vitals.results == []


def test_a_thread_may_read_the_body_after_the_answer(door: type[DoorVitals]) -> None:
    """What is counted is decided once the body cannot be read any more."""
    vitals = door(app_secret=SECRET)
    answered, read = threading.Event(), list[bytes]()

    def late(environ: Any) -> None:
        assert answered.wait(10)
        read.append(environ["wsgi.input"].read())

    threads: list[threading.Thread] = []

    def app(environ: Any, start_response: Any) -> list[bytes]:
        threads.append(threading.Thread(target=late, args=(environ,)))
        threads[0].start()
        start_response("200 OK", [])
        return [b"ok"]

    DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, vitals), [BODY], **SIGNED)
    assert vitals.results == []
    answered.set()
    threads.pop().join(10)
    gc.collect()
    assert (read, vitals.results) == ([BODY], ["accepted"])


@pytest.mark.parametrize("name", [name for name, kind in ALL.items() if not kind.reads_itself])
def test_it_counts_as_soon_as_the_request_is_gone(name: str, door: type[DoorVitals]) -> None:
    """No cycle of ours keeps the request until the garbage collector runs."""
    kind, vitals = ALL[name], door()
    app = kind.wrap(kind.app(lambda _: Answer(), read=False), vitals)
    gc.collect()
    gc.disable()
    try:
        kind.call(app, [BODY], **LENGTH)
    finally:
        gc.enable()
    assert vitals.results == ["unread"]
