"""The simulator's stand-in for WhatsApp on loopback, with customers that a test makes write over HTTP."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httpx
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatvitals.simulator import cloud_api, people
from chatvitals.simulator.conditions import Conditions
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget
from tests.helpers.asgi_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

SECRET = "the-app-secret"
TOKEN = "the-access-token"
NUMBER = people.BusinessNumber()
CUSTOMERS = 3


class StandIn(NamedTuple):
    """A stand-in that runs.

    Attributes:
        url: Where its API is.
        answered: The replies that reached customers, by the customer's index.

    """

    url: str
    answered: list[int]

    def write(self, customer: int, text: str = "hello") -> None:
        """Let a customer write a text to the bot."""
        httpx.post(f"{self.url}/write", json={"customer": customer, "text": text}).raise_for_status()


@contextmanager
def running(webhook_url: str) -> Iterator[StandIn]:
    """Run a stand-in that delivers to a webhook, with statuses right after each send."""
    rng, now, answered = random.Random(1), Conditions(sent=(0, 0.1), delivered=(0.1, 0.2), read=(0.2, 0.3)), list[int]()
    target = WebhookTarget(webhook_url, SECRET)
    delivery = Delivery(target, NUMBER, client=httpx.AsyncClient(timeout=60), rng=rng, conditions=lambda: now)

    async def write(request: Request) -> JSONResponse:
        asked = await request.json()
        cloud.hand_over(chats[asked["customer"]], {"type": "text", "text": {"body": asked["text"]}})
        return JSONResponse({})

    async def close(_: Request) -> JSONResponse:
        await delivery.close()  # on the loop where its tasks are
        return JSONResponse({})

    edges = [Route("/write", write, methods=["POST"]), Route("/close", close, methods=["POST"])]
    cloud = cloud_api.CloudApi(NUMBER, TOKEN, delivery=delivery, rng=rng, conditions=lambda: now, edges=edges)
    chats = [_join(cloud, index, answered) for index in range(CUSTOMERS)]
    with serving() as serve:
        url = f"http://127.0.0.1:{serve(cloud.app)}"
        try:
            yield StandIn(url, answered)
        finally:
            httpx.post(f"{url}/close")


def _join(cloud: cloud_api.CloudApi, index: int, answered: list[int]) -> cloud_api.Chat:
    return cloud.join(people.person(index), lambda: answered.append(index))
