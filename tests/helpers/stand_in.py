"""The simulator's stand-in for WhatsApp on loopback, with customers that a test makes write.

The customers live on the event loop of its server. Whatever a worker of the bot names in the header `x-worker` of its
requests and answers is known to the test.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatvitals.simulator import cloud_api, payloads, people
from chatvitals.simulator.conditions import Conditions
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget
from tests.helpers.asgi_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any, TypeVar

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp, Receive, Scope, Send

    T = TypeVar("T")

SECRET = "the-app-secret"
TOKEN = "the-access-token"
NUMBER = people.BusinessNumber()
CUSTOMERS = 3
TEXT = {"type": "text", "text": {"body": "hello"}}
_MOST_SECONDS = 300.0
_MOST_LOOKS = 3000

sender: ContextVar[str] = ContextVar("sender", default="")
"""The worker of the bot that made the send which is being accepted."""


class StandIn:
    """A stand-in, which is an ASGI application for a server. A send has its statuses soon.

    Args:
        webhook_url: where its webhooks go.
        transport: carries the webhooks instead of plain HTTP.

    """

    def __init__(self, webhook_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        rng, now = random.Random(1), Conditions(sent=(0, 0.1), delivered=(0.1, 0.2), read=(0.2, 0.3))
        client = httpx.AsyncClient(timeout=60, trust_env=False, transport=transport)
        target = WebhookTarget(webhook_url, SECRET)
        self.delivery = Delivery(target, NUMBER, client=client, rng=rng, conditions=lambda: now)
        self._cloud = cloud_api.CloudApi(NUMBER, TOKEN, delivery=self.delivery, rng=rng, conditions=lambda: now)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer requests as the API does. The end of the server ends what is on its way."""
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self.delivery.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        sender.set(dict(scope["headers"]).get(b"x-worker", b"").decode())
        await self._cloud.app(scope, receive, send)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the event loop of the server, where the customers live, and return its result."""
        assert self._loop is not None, "no server runs it"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_MOST_SECONDS)

    def join(self, person: people.Person, on_reply: Callable[[], None]) -> cloud_api.Chat:
        """Add a customer. Each reply that reaches the customer is told."""
        return self._cloud.join(person, on_reply)

    async def write(self, chat: cloud_api.Chat, text: str = "hello", arrived: Callable[[], None] | None = None) -> None:
        """Let a customer write a text, and go on while it is delivered. `arrived` is called once the bot has it."""
        self._cloud.hand_over(chat, TEXT | {"text": {"body": text}}, arrived)

    async def finish(self) -> None:
        """Wait until all webhooks have been delivered, statuses of replies included."""
        for _ in range(_MOST_LOOKS):
            if not self.delivery.backlog:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{self.delivery.backlog} webhooks are still on their way")


async def _accept(request: Request) -> JSONResponse:
    asked = (await request.json())["to"]
    return JSONResponse(payloads.accepted(people.Person("", phone=asked), asked, f"wamid.{asked}"))


accepts_all: ASGIApp = Starlette(routes=[Route("/{number}/messages", _accept, methods=["POST"])])
"""An API that accepts every send of every number. No webhook follows."""


class Customers:
    """A few customers of a bot, by their index.

    Attributes:
        url: Where the API of the stand-in is.
        answered: The replies that reached customers, by the customer's index.

    """

    def __init__(self, whatsapp: StandIn, url: str) -> None:
        self.url = url
        self.answered: list[int] = []
        self._whatsapp = whatsapp
        self._chats = [self._join(index) for index in range(CUSTOMERS)]

    def write(self, customer: int, text: str = "hello") -> None:
        """Let a customer write a text to the bot."""
        self._whatsapp.run(self._whatsapp.write(self._chats[customer], text))

    def _join(self, index: int) -> cloud_api.Chat:
        return self._whatsapp.join(people.person(index), lambda: self.answered.append(index))


@contextmanager
def running(webhook_url: str) -> Iterator[Customers]:
    """Run a stand-in that delivers to a webhook."""
    whatsapp = StandIn(webhook_url)
    with serving() as serve:
        yield Customers(whatsapp, f"http://127.0.0.1:{serve(whatsapp)}")
