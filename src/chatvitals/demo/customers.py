"""Simulated customers: they arrive, type bursts, wait, lose patience, and measure their waits on their own clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from chatvitals.demo import order_flow
from chatvitals.simulator.people import person

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from chatvitals.demo.ground_truth import Truth
    from chatvitals.demo.scenarios import Scenario
    from chatvitals.simulator.cloud_api import CloudApi
    from chatvitals.simulator.payloads import Json
    from chatvitals.simulator.people import Person

_READING_SECONDS = 1.0
_FIRST_CUSTOMERS = 4


class Customer:
    """One customer with a phone and a record of measurements.

    After a reply, a customer reads for at least a second before the next message. So no message crosses a reply at the
    last moment, where the two sides could not agree on the order.
    """

    def __init__(
        self,
        who: Person,
        *,
        api: CloudApi,
        truth: Truth,
        rng: random.Random,
        scenario: Scenario,
        clock: Callable[[], float],
    ) -> None:
        self._who = who
        self._api = api
        self._truth = truth
        self._rng = rng
        self._scenario = scenario
        self._clock = clock
        self._chat = api.join(who, self._phone_shows_reply)
        self._replied = asyncio.Event()
        self._last_reply = -_READING_SECONDS
        self._step = ""

    async def run(self) -> None:
        """Order as far as planned, or leave without an answer. Some of the leaving customers block the number."""
        served = await self._order()
        blocking = not served and self._scenario.blocks > 0 and self._rng.random() < self._scenario.blocks
        self._truth.gave_up += not served
        self._truth.blocked += blocking
        self._api.leave(self._chat, blocking=blocking)

    async def _order(self) -> bool:
        """Order as far as planned. Return whether every message got an answer."""
        for move in order_flow.plan(self._rng).moves(self._rng):
            if self._step:
                await asyncio.sleep(self._rng.uniform(*order_flow.PAUSE))
            self._step = move.step
            await self._type_burst(move.contents)
            if not await self._wait() and not await self._ask_again():
                return False
        if self._rng.random() < 0.2:
            await self._react()
        return True

    async def _type_burst(self, contents: tuple[Json, ...]) -> None:
        self._replied.clear()
        await self._chat.arrived.wait()  # an answer must never overtake the messages before it
        for number, content in enumerate(contents):
            if number:
                await asyncio.sleep(self._rng.uniform(0.7, 2.5))
            await self._write(content)

    async def _ask_again(self) -> bool:
        """Ask once more, if there is patience left. Return whether that brought a reply."""
        if self._rng.random() < 0.5:
            return False
        await self._chat.arrived.wait()
        if self._step == order_flow.STEPS[-1]:  # this order is complete for the bot, so a message begins another order
            self._step = order_flow.STEPS[0]
        await self._write(order_flow.text("hello??"))
        return await self._wait()

    async def _wait(self) -> bool:
        if not self._truth.waiting(self._who.key):
            return True
        try:
            await asyncio.wait_for(self._replied.wait(), self._rng.uniform(*self._scenario.patience))
        except TimeoutError:
            return False
        return True

    async def _write(self, content: Json) -> None:
        await self._read_first()
        at = self._clock()
        turn = self._truth.wrote(self._who.key, at)
        turn.not_understood |= self._truth.order.entered(self._who.key, self._step)
        if turn.start < at:
            self._api.hand_over(self._chat, content)
            return

        def arrived() -> None:
            turn.unknown = min(self._clock() - at, 1.0)

        self._replied.clear()
        self._api.hand_over(self._chat, content, arrived)

    async def _react(self) -> None:
        await self._read_first()
        self._truth.reacted()
        content = {"type": "reaction", "reaction": {"message_id": "wamid.c29tZXRoaW5nIGVsc2U=", "emoji": "👍"}}
        self._api.hand_over(self._chat, content)

    async def _read_first(self) -> None:
        while (rest := self._last_reply + _READING_SECONDS - self._clock()) > 0:  # noqa: ASYNC110 - replies may come meanwhile
            await asyncio.sleep(rest)

    def _phone_shows_reply(self) -> None:
        self._last_reply = self._clock()
        if self._truth.got_reply(self._who.key, self._last_reply):
            self._replied.set()


class Population:
    """Customers that keep arriving until `close`. Each is a new person, and the seed of `rng` fixes their actions."""

    def __init__(
        self,
        api: CloudApi,
        truth: Truth,
        *,
        rng: random.Random,
        scenario: Scenario,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._truth = truth
        self._rng = rng
        self._scenario = scenario
        self._clock = clock
        self._people: set[asyncio.Task[None]] = set()
        self._arrivals: asyncio.Task[None] | None = None
        self._error: BaseException | None = None

    def open(self) -> None:
        """Start the arrivals."""
        self._arrivals = asyncio.get_running_loop().create_task(self._arrive())

    async def close(self) -> None:
        """Stop all customers. Phones still show replies. It raises the first error of any customer."""
        tasks = [*self._people, *([self._arrivals] if self._arrivals is not None else [])]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        if self._error is not None:
            raise self._error

    @property
    def present(self) -> int:
        """Number of customers that are present now."""
        return len(self._people)

    async def _arrive(self) -> None:
        while True:
            if self._truth.customers >= _FIRST_CUSTOMERS:
                await asyncio.sleep(self._rng.expovariate(self._scenario.arrivals))
                if self._api.overloaded:
                    continue
            customer = Customer(
                person(self._truth.customers),
                api=self._api,
                truth=self._truth,
                rng=self._rng,
                scenario=self._scenario,
                clock=self._clock,
            )
            self._truth.customers += 1
            task = asyncio.get_running_loop().create_task(customer.run())
            self._people.add(task)
            task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._people.discard(task)
        if not task.cancelled() and task.exception() is not None and self._error is None:
            self._error = task.exception()
