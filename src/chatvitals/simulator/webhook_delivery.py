"""Delivery of webhooks to the bot: signed, retried until a 200, and if configured late, twice or out of order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import httpx

from chatvitals.simulator import payloads

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from chatvitals.simulator.conditions import Conditions
    from chatvitals.simulator.payloads import Update
    from chatvitals.simulator.people import BusinessNumber

_MOST_UPDATES = 1000  # whatsapp/README.md 1.2
_FIRST_RETRY = 0.25
_SLOWEST_RETRY = 2.0
_ATTEMPTS = 30
_MOST_POSTS = 64  # under way at once: a bot that cannot keep up gets no more load


class WebhookTarget(NamedTuple):
    """The URL of webhooks, and the secret that signs them."""

    url: str
    app_secret: str


class _Item(NamedTuple):
    update: Update
    arrived: Callable[[], None] | None


class Delivery:
    """A client that posts updates to the bot's webhook, concurrently and at least once.

    Args:
        address: URL and app secret.
        number: the business number that the webhooks are about.
        client: the HTTP client that posts. It is closed with this object.
        rng: the random generator.
        conditions: function that returns the current state of WhatsApp.

    """

    def __init__(
        self,
        address: WebhookTarget,
        number: BusinessNumber,
        *,
        client: httpx.AsyncClient,
        rng: random.Random,
        conditions: Callable[[], Conditions],
    ) -> None:
        self.posts: int = 0
        self.retries: int = 0
        self.lost: int = 0
        self._turnstile = asyncio.Semaphore(_MOST_POSTS)
        self._address = address
        self._number = number
        self._client = client
        self._rng = rng
        self._conditions = conditions
        self._gathered: list[_Item] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    @property
    def backlog(self) -> int:
        """How many updates are on their way."""
        return len(self._tasks)

    def put(self, update: Update, *, arrived: Callable[[], None] | None = None, prompt: bool = False) -> None:
        """Accept an update. `arrived` is called when the bot has answered 200, and `prompt` skips all delays."""
        self.spawn(self._carry(_Item(update, arrived), prompt=prompt))

    def tell(self, body: bytes) -> None:
        """Accept a webhook that is not about a customer."""
        self.spawn(self._tell(body))

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Run `work` in the background. `close` cancels it and raises its exception."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Stop all background work and close the client."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()
        if self._error is not None:
            raise self._error

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None and self._error is None:
            self._error = task.exception()

    async def _carry(self, item: _Item, *, prompt: bool) -> None:
        now = self._conditions()
        if prompt:
            await self._post([item])
            return
        wait = self._rng.uniform(*now.delay)
        if self._rng.random() < now.disorder:
            wait += self._rng.uniform(0.0, 1.0)
        if wait:
            await asyncio.sleep(wait)
        self._gathered.append(item)
        if len(self._gathered) > 1:
            return  # the first item of the batch takes this item along
        if now.batch:
            await asyncio.sleep(now.batch)
        while self._gathered:
            load, self._gathered = self._gathered[:_MOST_UPDATES], self._gathered[_MOST_UPDATES:]
            self.spawn(self._post(load))

    async def _tell(self, body: bytes) -> None:
        if not await self._push(body, self._headers(body)):
            self.lost += 1

    def _headers(self, body: bytes) -> dict[str, str]:
        return {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": payloads.signature(self._address.app_secret, body),
        }

    async def _push(self, body: bytes, headers: dict[str, str]) -> bool:
        """Post until the bot answers 200. Return whether it did."""
        pause = _FIRST_RETRY
        for _ in range(_ATTEMPTS):
            if await self._attempt(body, headers):
                return True
            self.retries += 1
            await asyncio.sleep(pause)
            pause = min(pause * 2, _SLOWEST_RETRY)
        return False

    async def _post(self, load: list[_Item]) -> None:
        body = payloads.webhook(self._number, [item.update for item in load])
        headers = self._headers(body)
        if not await self._push(body, headers):
            self.lost += len(load)
            return
        for item in load:
            if item.arrived is not None:
                item.arrived()
        if self._rng.random() < self._conditions().duplicates:
            await asyncio.sleep(self._rng.uniform(0.0, 1.0))
            await self._attempt(body, headers)

    async def _attempt(self, body: bytes, headers: dict[str, str]) -> bool:
        async with self._turnstile:
            self.posts += 1
            try:
                answer = await self._client.post(self._address.url, content=body, headers=headers)
            except httpx.TransportError:
                return False
        return answer.status_code == 200  # all other statuses are failures: whatsapp/README.md 1.2
