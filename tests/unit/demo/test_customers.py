"""Customers wait, leave, and write again, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.demo import order_flow
from chatvitals.demo.customers import Customer, Population
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.order_flow import Progress
from chatvitals.demo.scenarios import CALM, OUTAGE, Scenario
from tests.helpers.virtual_world import BOTH, World, virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.simulator import payloads
    from chatvitals.simulator.cloud_api import Chat


async def _live(scenario: Scenario, think: float | None, *, seconds: float = 60, seed: int = 7) -> tuple[World, Truth]:
    world, truth = World(scenario.normal, seed=seed), Truth()
    world.think = think
    population = Population(world.api, truth, rng=random.Random(seed), scenario=scenario, clock=world.clock)
    population.open()
    await asyncio.sleep(seconds)
    assert population.present
    await population.close()
    await asyncio.sleep(10)
    await world.close()
    return world, truth


@pytest.mark.slow
def test_customers_of_a_bot_that_answers_in_a_second_wait_a_second() -> None:
    """Waiting is from the first message's hand-over to the acceptance of the reply, for every kind of customer."""

    async def story() -> None:
        world, truth = await _live(CALM, 1.0)
        assert truth.unanswered == truth.gave_up == 0
        assert len(truth.turns) > 100
        assert {round(wait, 3) for wait in truth.waits} == {1.0}
        assert truth.messages == len({item["id"] for item in world.items("messages")})
        assert truth.messages > len(truth.turns)

    virtually(story())


def test_customers_of_a_silent_bot_leave_after_their_patience() -> None:
    """No customer gets an answer, and customers leave after a long wait."""

    async def story() -> None:
        _, truth = await _live(OUTAGE, None)
        assert truth.waits == []
        assert truth.unanswered == len(truth.turns) == truth.customers
        assert truth.gave_up > truth.customers / 2

    virtually(story())


def test_a_seed_fixes_the_story() -> None:
    """The same seed brings the same customers with the same words at the same times."""
    told: list[list[dict[str, Any]]] = []

    async def story() -> None:
        world, _ = await _live(CALM, 1.0, seconds=20)
        told.append(world.items("messages"))

    virtually(story())
    virtually(story())
    assert told[0] == told[1]


def test_whoever_asks_again_after_the_last_step_begins_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bot the order is done: where its thanks got lost, a nudge is a first message again."""
    entered, orders = Progress.entered, Counter[int]()
    monkeypatch.setattr(order_flow, "plan", lambda _: order_flow.Walk(picks_up=False, lost={}, leaves_at="paid"))

    async def story(seed: int) -> None:
        world, truth = World(), Truth()
        world.think = 0.5

        def silenced(progress: Progress, who: str, step: str) -> bool:
            if step == "paid":
                world.think = None
            return entered(progress, who, step)

        monkeypatch.setattr(Progress, "entered", silenced)
        rng = random.Random(seed)
        await Customer(BOTH, api=world.api, truth=truth, rng=rng, scenario=OUTAGE, clock=world.clock).run()
        assert (truth.order.completed, truth.gave_up) == (1, 1)
        assert truth.order.reached["menu"] == 1 + truth.order.stopped["menu"]
        orders[truth.order.reached["menu"]] += 1
        await world.close()

    for seed in range(8):
        virtually(story(seed))
    assert set(orders) == {1, 2}


class _NotingTruth(Truth):
    """A diary that also keeps when each phone showed its last reply."""

    shown: dict[str, float]

    def got_reply(self, who: str, at: float) -> bool:
        """Keep the moment."""
        self.shown[who] = at
        return super().got_reply(who, at)


@pytest.mark.slow
def test_nobody_writes_within_a_second_of_a_reply() -> None:
    """A reply is read before anything else is written, so that both sides see one order."""

    async def story() -> None:
        world, truth = World(), _NotingTruth()
        truth.shown = {}
        world.think = 0.4
        pauses: list[float] = []
        take = world.api.hand_over

        def watched(chat: Chat, content: payloads.Json, arrived: Callable[[], None] | None = None) -> str:
            pauses.append(world.clock() - truth.shown.get(chat.person.key, -9.0))
            return take(chat, content, arrived)

        world.api.hand_over = watched  # type: ignore[method-assign]
        population = Population(world.api, truth, rng=random.Random(3), scenario=CALM, clock=world.clock)
        population.open()
        await asyncio.sleep(60)
        await population.close()
        assert len(truth.shown) > 50
        assert min(pauses) >= 1.0 - 1e-9
        await world.close()

    virtually(story())
