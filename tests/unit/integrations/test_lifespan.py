"""The end of the lifespan: waiting events are committed before the server may end its process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chatvitals.events import Message
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from tests.conftest import Swallowed

pytestmark = pytest.mark.fast


async def bot(_: object, receive: Any, send: Any) -> None:
    """Start and stop."""
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def vitals() -> Vitals:
    """Vitals with an event that waits."""
    made = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=FakeClock(), background=False)
    made._emit(Message(phone_number_id="1", wa_id="15550", received=made.clock(), id="m1", type="text"))
    return made


def live(vitals: Vitals, backend: str = "asyncio") -> list[str]:
    """Let the bot live, and return its messages."""
    told: list[str] = []
    coming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, str]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        told.append(message["type"])

    anyio.run(ChatVitalsMiddleware(bot, vitals), {"type": "lifespan"}, receive, send, backend=backend)
    return told


def committed(vitals: Vitals) -> float:
    """Return the number of committed messages."""
    return sum(value for cell, value in vitals.store.cells().items() if cell[0] == catalogue.MESSAGES_RECEIVED.name)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_31_what_waits_is_committed_at_the_end_of_the_lifespan(vitals: Vitals, backend: str) -> None:
    """A server may then end its process by a signal, without `atexit`, as uvicorn does."""
    assert committed(vitals) == 0
    assert live(vitals, backend) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert committed(vitals) == 1


def test_31_an_error_at_the_end_does_not_reach_the_bot(vitals: Vitals, swallowed: Swallowed) -> None:
    """It is counted."""

    def fail() -> None:
        raise OSError

    vitals.webhook_sink.flush = fail
    assert live(vitals)[-1] == "lifespan.shutdown.complete"
    assert len(swallowed.take("asgi")) == 1


def test_31_a_process_without_events_waits_for_nothing() -> None:
    """It would start the thread at its end."""
    made = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=FakeClock())
    live(made)
    assert made._pipeline._thread is None
