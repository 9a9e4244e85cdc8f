"""The stand-in for the Cloud API answers and refuses as Meta does."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from chatvitals.simulator.conditions import Conditions
from tests.helpers.virtual_world import BOTH, TEXT, USER_ONLY, World, virtually


def test_a_send_is_answered_as_meta_does() -> None:
    """The answer names the recipient as asked for, the ids and a message id. Statuses follow, signed."""

    async def story() -> None:
        world = World()
        world.join(BOTH)
        answer = await world.text()
        (message,) = answer.json()["messages"]
        assert answer.json()["contacts"] == [{"input": BOTH.phone, "wa_id": BOTH.phone, "user_id": BOTH.user}]
        await asyncio.sleep(1)
        assert [item["status"] for item in world.items("statuses")] == ["sent", "delivered", "read"]
        assert {item["id"] for item in world.items("statuses")} == {message["id"]}
        for body, headers in zip(world.bodies, world.headers, strict=True):
            expected = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
            assert headers["x-hub-signature-256"] == f"sha256={expected}"
        assert world.replies == 1
        await world.close()

    virtually(story())


def test_a_customer_without_a_phone_number_is_reached_by_the_other_id() -> None:
    """`recipient` takes a business-scoped user id. The answer and the statuses show no phone number."""

    async def story() -> None:
        world = World()
        world.join(USER_ONLY)
        answer = await world.send(recipient=USER_ONLY.user, type="text", text={"body": "hello"})
        assert answer.json()["contacts"] == [{"input": USER_ONLY.user, "user_id": USER_ONLY.user}]
        await asyncio.sleep(1)
        assert not any("recipient_id" in item for item in world.items("statuses"))
        await world.close()

    virtually(story())


@pytest.mark.parametrize(
    ("call", "headers", "status", "code"),
    [
        ({"to": BOTH.phone, "type": "text", "text": {}}, {"Authorization": "Bearer other"}, 401, 190),
        ({"to": BOTH.phone, "type": "text", "text": {}, "messaging_product": "fax"}, {}, 400, 100),
        ({"to": BOTH.phone, "type": "text"}, {}, 400, 100),
        ({"to": "15550000099", "type": "text", "text": {}}, {}, 400, 131030),
    ],
)
def test_a_wrong_call_is_refused_with_a_code(
    call: dict[str, Any], headers: dict[str, str], status: int, code: int
) -> None:
    """A wrong token, product, body or recipient costs an error of Meta's shape and reaches nobody."""

    async def story() -> None:
        world = World()
        world.join(BOTH)
        answer = await world.send(headers, **call)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == code
        assert set(answer.json()["error"]) == {"message", "type", "code", "fbtrace_id"}
        assert world.replies == 0
        await world.close()

    virtually(story())


def test_a_read_mark_is_no_message() -> None:
    """Read marks and typing indicators get a success and cause no status."""

    async def story() -> None:
        world = World()
        answer = await world.send(status="read", message_id="wamid.x", typing_indicator={"type": "text"})
        assert answer.json() == {"success": True}
        await asyncio.sleep(1)
        assert (world.api.accepted, world.bodies) == (0, [])
        await world.close()

    virtually(story())


def test_a_reaction_of_the_bot_is_a_send_but_no_reply() -> None:
    """The phone shows a reaction without taking it for an answer."""

    async def story() -> None:
        world = World()
        world.join(BOTH)
        answer = await world.send(to=BOTH.phone, type="reaction", reaction={"message_id": "wamid.x", "emoji": "👍"})
        assert (answer.status_code, world.api.accepted, world.replies) == (200, 1, 0)
        await world.close()

    virtually(story())


def test_a_refused_send_reaches_nobody() -> None:
    """Under bad conditions the API answers with one of the scenario's errors."""

    async def story() -> None:
        world = World(Conditions(rejected=1.0, errors=((503, 2),)))
        world.join(BOTH)
        answer = await world.text()
        assert (answer.status_code, answer.json()["error"]["code"], world.replies) == (503, 2, 0)
        await world.close()

    virtually(story())


def test_a_send_that_fails_afterwards_reaches_nobody() -> None:
    """It is accepted, its only status is `failed`, and no phone shows it."""

    async def story() -> None:
        world = World(Conditions(undelivered=1.0))
        world.join(BOTH)
        assert (await world.text()).status_code == 200
        await asyncio.sleep(2)
        assert [item["status"] for item in world.items("statuses")] == ["failed"]
        assert world.replies == 0
        await world.close()

    virtually(story())


def test_a_reply_waits_for_the_messages_that_were_written_before_it() -> None:
    """A message on its way to the bot comes before the reply on both sides."""

    async def story() -> None:
        world = World(Conditions(delay=(1.0, 1.0)))
        chat = world.join(BOTH)
        world.api.hand_over(chat, TEXT)
        assert world.api.delivering
        await world.text()
        assert world.clock() == pytest.approx(1.0)
        assert len(world.items("messages")) == 1
        await world.close()

    virtually(story())


def test_a_bot_that_acknowledges_after_its_answer_is_not_held_for_ever() -> None:
    """After four seconds the reply is taken although the message is still on its way."""

    async def story() -> None:
        world = World(Conditions(delay=(60.0, 60.0)))
        world.api.hand_over(world.join(BOTH), TEXT)
        assert (await world.text()).status_code == 200
        assert world.clock() == pytest.approx(4.0)
        await world.close()

    virtually(story())
