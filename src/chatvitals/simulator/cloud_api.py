"""A stand-in for WhatsApp's Cloud API, which accepts sends and reports their statuses to the bot's webhook."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatvitals.simulator import payloads
from chatvitals.simulator.ratings import RECENT

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from starlette.requests import Request
    from starlette.responses import Response

    from chatvitals.simulator.conditions import Conditions
    from chatvitals.simulator.payloads import Json
    from chatvitals.simulator.people import BusinessNumber, Person
    from chatvitals.simulator.webhook_delivery import Delivery

_MOST_BACKLOG = 2000
_HOLD_SECONDS = 4.0  # shorter than the five seconds after which httpx gives up
_UNDELIVERABLE = 131026


class Chat:
    """One customer's chat with the business. `on_reply` is called when the phone shows a reply."""

    def __init__(self, person: Person, on_reply: Callable[[], None]) -> None:
        self.person = person
        self.on_reply = on_reply
        self.blocked = False
        self.in_flight = 0
        self.arrived: asyncio.Event = asyncio.Event()
        self.arrived.set()


class CloudApi:
    """The stand-in. `app` is its HTTP side, `join` and `hand_over` are the actions of customers' phones.

    A message and a reply that cross meet in one order on both sides. A send to a customer waits until the customer's
    messages have reached the bot (at most 4 s), because a chat shows one order to both sides.

    Args:
        number: the business number of the stand-in.
        access_token: the bearer token that it requires.
        delivery: carries the webhooks to the bot.
        rng: the random generator.
        conditions: function that returns the current state of WhatsApp.
        clock: function that returns the time of messages and statuses, in Unix seconds.
        edges: further routes.

    """

    def __init__(  # noqa: PLR0913 - all parts of a stand-in
        self,
        number: BusinessNumber,
        access_token: str,
        *,
        delivery: Delivery,
        rng: random.Random,
        conditions: Callable[[], Conditions],
        clock: Callable[[], float] = time.time,
        edges: Iterable[Route] = (),
    ) -> None:
        self.accepted: int = 0
        self.refused: int = 0
        self.open = True
        """Whether it accepts sends. A closed stand-in refuses them all."""
        self.departures: deque[bool] = deque(maxlen=RECENT)
        """The customers that left lately. True means that the customer blocked the number."""
        self.app: Starlette = Starlette(
            routes=[
                Route("/{version}/{number}/messages", self._messages, methods=["POST"]),
                Route("/{number}/messages", self._messages, methods=["POST"]),
                *edges,
            ]
        )
        self._number = number
        self._authorization = f"Bearer {access_token}"
        self._delivery = delivery
        self._rng = rng
        self._conditions = conditions
        self._clock = clock
        self._chats: dict[str, Chat] = {}
        self._serial = itertools.count(1)

    def join(self, person: Person, on_reply: Callable[[], None]) -> Chat:
        """Add a customer, reachable under each known id."""
        chat = Chat(person, on_reply)
        for known in (person.phone, person.user):
            if known:
                self._chats[known] = chat
        return chat

    def hand_over(self, chat: Chat, content: Json, arrived: Callable[[], None] | None = None) -> str:
        """Accept a customer's message and start its delivery to the bot.

        Args:
            chat: the customer's chat.
            content: the item's `type`, and the key with the name of this type.
            arrived: called when the bot has answered the webhook with 200.

        Returns:
            The message id.

        """
        message_id = payloads.wamid(chat.person, next(self._serial), inbound=True)
        chat.in_flight += 1
        chat.arrived.clear()

        def on_arrival() -> None:
            chat.in_flight -= 1
            if not chat.in_flight:
                chat.arrived.set()
            if arrived is not None:
                arrived()

        update = payloads.message(chat.person, message_id, content, at=self._clock())
        self._delivery.put(update, arrived=on_arrival)
        return message_id

    def leave(self, chat: Chat, *, blocking: bool) -> None:
        """Remove a customer. A customer that blocks the number gets no more messages."""
        chat.blocked = blocking
        self.departures.append(blocking)

    @property
    def overloaded(self) -> bool:
        """Whether so many webhooks and statuses are on their way that no customer should come."""
        return self._delivery.backlog >= _MOST_BACKLOG

    @property
    def delivering(self) -> bool:
        """Whether any customer's message has not reached the bot yet."""
        return any(chat.in_flight for chat in self._chats.values())

    async def _messages(self, request: Request) -> Response:
        if request.headers.get("authorization") != self._authorization:
            return self._refusal(401, 190, "Invalid OAuth access token.")
        if request.path_params["number"] != self._number.phone_number_id:
            return self._refusal(400, 100, "Unsupported post request: no such phone number.")
        try:
            call = await request.json()
        except ValueError:
            call = None
        if not isinstance(call, dict) or call.get("messaging_product") != "whatsapp":
            return self._refusal(400, 100, "The parameter messaging_product is required.")
        if not self.open:
            return self._refusal(503, 2, "Service temporarily unavailable.")
        if "status" in call:  # a read mark, with or without a typing indicator
            return JSONResponse({"success": True})
        return await self._send(call)

    async def _send(self, call: dict[str, Any]) -> Response:
        asked_for = str(call.get("to") or call.get("recipient") or "")
        chat = self._chats.get(asked_for)
        if chat is None:
            return self._refusal(400, 131030, "Recipient phone number not in allowed list.")
        kind = call.get("type", "text")
        if kind not in call:
            return self._refusal(400, 100, f"The parameter {kind} is required.")
        # Not longer: a bot that answers inside its webhook handler acknowledges the message only after its answer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HOLD_SECONDS):
                while chat.in_flight:
                    await chat.arrived.wait()
        now = self._conditions()
        if not self.open or self._rng.random() < now.rejected:
            http_status, code = self._rng.choice(now.errors)
            return self._refusal(http_status, code, "Try again later.")
        return self._accept(chat, asked_for, is_reply=kind != "reaction", now=now)

    def _accept(self, chat: Chat, asked_for: str, *, is_reply: bool, now: Conditions) -> Response:
        # No `await` here, so that customer and bot see the same time of acceptance.
        self.accepted += 1
        message_id = payloads.wamid(chat.person, next(self._serial), inbound=False)
        # Meta does not document the result of a send to a customer that blocked the number; this code is likely.
        if chat.blocked or self._rng.random() < now.undelivered:
            update = payloads.status(chat.person, message_id, "failed", at=self._clock(), code=_UNDELIVERABLE)
            self._delivery.put(update, prompt=True)
        else:
            if is_reply:
                chat.on_reply()
            self._delivery.spawn(self._report(chat.person, message_id, now))
        return JSONResponse(payloads.accepted(chat.person, asked_for, message_id))

    async def _report(self, person: Person, message_id: str, now: Conditions) -> None:
        """Send the statuses of an accepted message, each at its time."""
        steps = [("sent", self._rng.uniform(*now.sent)), ("delivered", self._rng.uniform(*now.delivered))]
        if self._rng.random() >= now.unread:
            steps.append(("read", self._rng.uniform(*now.read)))
            if self._rng.random() < 0.1:
                del steps[1]  # the customer is looking at the chat: whatsapp/README.md 3.1
        passed = 0.0
        for name, after in steps:
            await asyncio.sleep(max(after - passed, 0.0))
            passed = max(after, passed)
            category = "" if name == "read" else "service"
            self._delivery.put(payloads.status(person, message_id, name, at=self._clock(), category=category))

    def _refusal(self, http_status: int, code: int, text: str) -> Response:
        self.refused += 1
        trace = f"A{self._rng.getrandbits(64):016x}"
        return JSONResponse(payloads.error(code, text, trace=trace), status_code=http_status)
