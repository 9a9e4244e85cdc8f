"""Cases 1 to 7 of tests/safety/README.md for ASGI apps: exceptions of the bot, of the server and of ours."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

import pytest
from starlette.exceptions import HTTPException

from chatvitals import context
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from tests.helpers.asgi_apps import as_bare

if TYPE_CHECKING:
    from collections.abc import Generator

    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from tests.conftest import AsgiDriver, DoorVitals, Exchange, Swallowed


def raising(error: BaseException, *, started: bool = False) -> ASGIApp:
    """Return an application that reads its body and raises, before or after its response has started."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    return app


@pytest.mark.parametrize("broken", ["receive", "emit", "clock", "settings", "bind"])
def test_01_a_bug_in_ours_leaves_everything_as_bare(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """Whatever of ours raises, the application runs on, and the place is counted."""

    def fail(*_: object) -> Any:
        raise LookupError(broken)

    vitals = door(max_body=1024)
    body = b" " * 2000 if broken == "clock" else asgi.body
    if broken == "bind":
        monkeypatch.setattr(context, broken, fail)
    else:
        monkeypatch.setattr(vitals.webhook_sink, broken, None if broken == "settings" else fail)
    exchange = as_bare(asgi, vitals, asgi.bot(), messages=[asgi.chunk(body)])
    assert exchange.sent[0]["headers"] == [(b"x-read", b"%d" % len(body))]
    assert vitals.webhook_sink.guard.errors["asgi"] > 0
    assert swallowed.take("asgi")


def test_03_a_host_exception_passes_as_the_same_object(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """Cause, context and the suppression of context are untouched."""
    error, cause, other = ValueError("host"), KeyError("cause"), OSError("context")
    error.__cause__, error.__context__, error.__suppress_context__ = cause, other, False
    exchange = as_bare(asgi, door(), raising(error))
    assert exchange.error is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (cause, other, False)


def test_03_a_host_exception_is_untouched_by_errors_of_ours(
    asgi: AsgiDriver, door: type[DoorVitals], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that we swallow while the host's passes does not become its context."""
    vitals, error = door(), ValueError("host")
    monkeypatch.setattr(vitals.webhook_sink, "emit", lambda event: 1 / 0)
    exchange = asgi.call(ChatVitalsMiddleware(raising(error), vitals))
    assert exchange.error is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert [type(e) for e in swallowed.take("asgi")] == [ZeroDivisionError]


@pytest.mark.parametrize(
    "error",
    [
        BaseException("host"),
        KeyboardInterrupt("host"),
        SystemExit(3),
        asyncio.CancelledError("host"),
        ExceptionGroup("host", [ValueError("one")]),
        BaseExceptionGroup("host", [asyncio.CancelledError()]),
        HTTPException(403),
    ],
)
@pytest.mark.parametrize("started", [False, True])
def test_04_no_exception_of_the_host_is_swallowed(
    asgi: AsgiDriver,
    door: type[DoorVitals],
    error: BaseException,
    started: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Exotic exceptions pass as well. The webhook counts as accepted, since no code rejected it."""
    vitals = door()
    exchange = asyncio.run(asgi.acall(ChatVitalsMiddleware(raising(error, started=started), vitals)))
    assert exchange.error is error
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_04_interrupts_that_hit_our_code_are_not_swallowed(
    asgi: AsgiDriver, door: type[DoorVitals], monkeypatch: pytest.MonkeyPatch, kind: type[BaseException]
) -> None:
    """Ctrl-C in our code still stops the process."""

    def interrupted(*_: object) -> None:
        raise kind

    vitals = door()
    monkeypatch.setattr(vitals.webhook_sink, "receive", interrupted)
    assert isinstance(asgi.call(ChatVitalsMiddleware(asgi.bot(), vitals)).error, kind)


def test_05_an_exception_after_the_response_has_started_adds_no_message(
    asgi: AsgiDriver, door: type[DoorVitals]
) -> None:
    """The one message that the application sent is all there is."""
    exchange = as_bare(asgi, door(), raising(ValueError("late"), started=True))
    assert [message["type"] for message in exchange.sent] == ["http.response.start"]


def test_06_an_error_of_send_reaches_the_application(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """A client that has gone shows as the very OSError that the server raised."""
    caught: list[BaseException] = []
    error = OSError("the client has gone")

    def refuse(message: Message) -> None:
        raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asgi.bot()(scope, receive, send)
        except OSError as seen:
            caught.append(seen)

    vitals = door()
    as_bare(asgi, vitals, app, on_send=refuse)
    assert caught == [error, error]
    assert vitals.results == ["accepted"]


def test_06_an_error_of_receive_reaches_the_application(door: type[DoorVitals], asgi: AsgiDriver) -> None:
    """The same holds for the other direction."""
    error = OSError("reset")

    async def receive() -> Message:
        raise error

    async def send(message: Message) -> None:
        raise AssertionError

    async def run() -> None:
        await ChatVitalsMiddleware(asgi.bot(), door())(asgi.scope(), receive, send)

    with pytest.raises(OSError, match="reset") as caught:
        asyncio.run(run())
    assert caught.value is error


def test_07_a_task_cancelled_in_mid_handler_is_counted_once(asgi: AsgiDriver, door: type[DoorVitals]) -> None:
    """The message arrived, so it counts. The cancellation goes on."""
    vitals = door()

    async def run() -> asyncio.Task[Exchange]:
        handling = asyncio.Event()

        async def stuck(body: bytes) -> None:
            handling.set()
            await asyncio.Event().wait()

        app = ChatVitalsMiddleware(asgi.bot(before=stuck), vitals)
        task = asyncio.create_task(asgi.acall(app))
        await handling.wait()
        task.cancel()
        await asyncio.wait([task])
        return task

    assert isinstance(asyncio.run(run()).result().error, asyncio.CancelledError)
    assert vitals.results == ["accepted"]


def test_07_a_coroutine_closed_elsewhere_keeps_its_peace(
    asgi: AsgiDriver, door: type[DoorVitals], swallowed: Swallowed
) -> None:
    """A task that is destroyed in another context, as at the end of a loop, raises nothing."""

    class Pause:
        def __await__(self) -> Generator[None]:
            yield

    async def pausing(*_: object) -> None:
        await Pause()

    async def unused(*_: object) -> Any:
        raise AssertionError

    call = ChatVitalsMiddleware(pausing, door())(asgi.scope(), unused, unused)
    contextvars.copy_context().run(call.send, None)
    call.close()
    assert swallowed.take("asgi") == []
