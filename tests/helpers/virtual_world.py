"""A stand-in for WhatsApp and a bot in virtual time. A second of theirs costs no time."""

from __future__ import annotations

import asyncio
import json
import random
import selectors
from typing import TYPE_CHECKING, Any

import httpx
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chatvitals.simulator.cloud_api import Chat, CloudApi
from chatvitals.simulator.conditions import Conditions
from chatvitals.simulator.people import BusinessNumber, Person, person
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from starlette.requests import Request


NUMBER = BusinessNumber()
BOTH, PHONE_ONLY, USER_ONLY = person(0), person(3), person(4)
AT_ONCE = Conditions(sent=(0.0, 0.0), delivered=(0.1, 0.1), read=(0.2, 0.2), unread=0.0)
TEXT = {"type": "text", "text": {"body": "è aperto? 🌍"}}


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that lets waiting take no time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Jump to the end of the wait."""
        assert timeout is not None, "everything waits for nothing"
        self.now += max(timeout, 0.0)
        return super().select(0)


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = _JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self.jumping.now


def virtually(story: Coroutine[Any, Any, None]) -> None:
    """Run `story` in virtual time."""
    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(story)


class World:
    """A stand-in with a bot in the same process. The bot keeps what it gets and answers as told."""

    def __init__(self, conditions: Conditions = AT_ONCE, *, seed: int = 1) -> None:
        loop = asyncio.get_running_loop()
        self.conditions = conditions
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.answers: list[int] = []  # status codes for the next webhooks; 200 after these
        self.think: float | None = None  # seconds until the bot replies; None for a silent one
        self.clock = loop.time
        self._tasks: set[asyncio.Task[Any]] = set()
        bot = Starlette(routes=[Route("/webhook", self._webhook, methods=["POST"])])
        self.delivery = Delivery(
            WebhookTarget("http://bot/webhook", "secret"),
            NUMBER,
            client=httpx.AsyncClient(transport=httpx.ASGITransport(bot)),
            rng=random.Random(seed),
            conditions=lambda: self.conditions,
        )
        self.api = CloudApi(
            NUMBER,
            "token",
            delivery=self.delivery,
            rng=random.Random(seed),
            conditions=lambda: self.conditions,
            clock=lambda: 1_800_000_000.0 + loop.time(),
        )
        self.graph = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.api.app),
            base_url="http://graph/v24.0",
            headers={"Authorization": "Bearer token"},
        )
        self.replies = 0

    def join(self, who: Person) -> Chat:
        """Add a customer whose phone counts replies."""
        return self.api.join(who, self._count)

    async def send(self, headers: Mapping[str, str] | None = None, **call: Any) -> httpx.Response:
        """Call the messages endpoint as a bot does."""
        body = {"messaging_product": "whatsapp", **call}
        return await self.graph.post(f"/{NUMBER.phone_number_id}/messages", json=body, headers=headers)

    async def text(self, to: str = BOTH.phone) -> httpx.Response:
        """Send a text."""
        return await self.send(to=to, type="text", text={"body": "hello"})

    def items(self, name: str) -> list[dict[str, Any]]:
        """Return all items of one list that the bot got, in order."""
        values = [json.loads(body)["entry"][0]["changes"][0]["value"] for body in self.bodies]
        return [item for value in values for item in value.get(name, [])]

    async def close(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await self.delivery.close()
        await self.graph.aclose()

    def _count(self) -> None:
        self.replies += 1

    async def _webhook(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        self.headers.append(request.headers)
        if self.answers:
            return PlainTextResponse("", status_code=self.answers.pop(0))
        if self.think is not None:
            for message in json.loads(self.bodies[-1])["entry"][0]["changes"][0]["value"].get("messages", []):
                if message["type"] in {"text", "interactive"}:
                    self._tasks.add(asyncio.create_task(self._reply(message.get("from") or message["from_user_id"])))
        return PlainTextResponse("ok")

    async def _reply(self, to: str) -> None:
        assert self.think is not None
        await asyncio.sleep(self.think)
        await self.text(to)
