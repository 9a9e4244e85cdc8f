"""Webhooks come again, twice, late and together, as Meta delivers them."""

from __future__ import annotations

import asyncio
import random

import httpx
import pytest

from chatvitals.simulator.cloud_api import CloudApi
from chatvitals.simulator.conditions import Conditions
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget
from tests.helpers.virtual_world import AT_ONCE, BOTH, NUMBER, PHONE_ONLY, TEXT, USER_ONLY, World, virtually


def test_a_webhook_is_tried_again_until_the_bot_answers_200() -> None:
    """Anything but 200 is a failure. The very same body comes again."""

    async def story() -> None:
        world = World()
        world.answers = [500, 204]
        arrived: list[float] = []
        world.api.hand_over(world.join(BOTH), TEXT, lambda: arrived.append(world.clock()))
        await asyncio.sleep(5)
        assert len(world.bodies) == 3
        assert len(set(world.bodies)) == 1
        assert arrived == [pytest.approx(0.75)]
        await world.close()

    virtually(story())


def test_duplicates_are_the_same_bytes_twice() -> None:
    """A duplicate carries the same ids and the same signature, and arrives once for the sender."""

    async def story() -> None:
        world = World(Conditions(duplicates=1.0))
        arrived: list[float] = []
        world.api.hand_over(world.join(BOTH), TEXT, lambda: arrived.append(0))
        await asyncio.sleep(5)
        assert (len(world.bodies), len(set(world.bodies)), len(arrived)) == (2, 1, 1)
        await world.close()

    virtually(story())


def test_a_batch_is_one_post() -> None:
    """What is handed over within the batch's time arrives together, once each."""

    async def story() -> None:
        world = World(Conditions(batch=0.5))
        for who in (BOTH, PHONE_ONLY, USER_ONLY):
            world.api.hand_over(world.join(who), TEXT)
        await asyncio.sleep(2)
        assert len(world.bodies) == 1
        assert len(world.items("messages")) == 3
        await world.close()

    virtually(story())


def test_disorder_lets_later_updates_overtake() -> None:
    """With disorder the statuses of many messages do not come in their order."""

    async def story() -> None:
        world = World(Conditions(disorder=0.5, unread=0.0))
        world.join(BOTH)
        for _ in range(20):
            await world.text()
        await asyncio.sleep(5)
        order = {"sent": 0, "delivered": 1, "read": 2}
        seen: dict[str, list[int]] = {}
        for item in world.items("statuses"):
            seen.setdefault(item["id"], []).append(order[item["status"]])
        assert any(levels != sorted(levels) for levels in seen.values())
        await world.close()

    virtually(story())


def test_a_bot_that_cannot_keep_up_gets_64_posts_at_once_and_no_more_customers() -> None:
    """Overload stays bounded: what waits is sent later, and nobody new comes meanwhile."""

    async def story() -> None:
        under_way, most = 0, 0

        async def slow(_: httpx.Request) -> httpx.Response:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(1.0)
            under_way -= 1
            return httpx.Response(200)

        delivery = Delivery(
            WebhookTarget("http://bot/webhook", "secret"),
            NUMBER,
            client=httpx.AsyncClient(transport=httpx.MockTransport(slow)),
            rng=random.Random(1),
            conditions=lambda: AT_ONCE,
        )
        api = CloudApi(NUMBER, "token", delivery=delivery, rng=random.Random(1), conditions=lambda: AT_ONCE)
        chat = api.join(BOTH, lambda: None)
        for _ in range(2000):
            api.hand_over(chat, {"type": "text", "text": {"body": "hello"}})
        assert api.overloaded
        await asyncio.sleep(40.0)
        assert most == 64
        assert (delivery.posts, delivery.backlog, api.overloaded) == (2000, 0, False)
        await delivery.close()

    virtually(story())
