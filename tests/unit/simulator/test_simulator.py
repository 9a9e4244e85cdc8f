"""The stand-in, the customers and their diary, in virtual time: a second of theirs costs no time here."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import random
import selectors
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from rich.console import Console
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chatvitals import events
from chatvitals.demo import comparison, order_flow
from chatvitals.demo.customers import Customer, Population
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.order_flow import Progress
from chatvitals.demo.scenarios import CALM, OUTAGE, SCENARIOS, Scenario
from chatvitals.demo.view import RichView, Snapshot, line, table_lines
from chatvitals.simulator import payloads
from chatvitals.simulator.cloud_api import Chat, CloudApi
from chatvitals.simulator.conditions import Conditions
from chatvitals.simulator.people import BusinessNumber, Person, person
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget
from chatvitals.whatsapp import webhook_parser

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

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


# What customers measure


def test_a_message_joins_the_open_turn_and_the_first_reply_closes_it() -> None:
    """The clock of a turn runs from the first message of the burst to the first reply."""
    truth = Truth()
    truth.wrote("ada", 10.0)
    truth.wrote("ada", 12.0)
    assert truth.got_reply("ada", 15.0)
    assert (truth.waits, truth.messages, truth.unanswered) == ([5.0], 2, 0)


def test_later_replies_change_nothing() -> None:
    """A reply without an open turn ends no wait."""
    truth = Truth()
    truth.wrote("ada", 10.0)
    truth.got_reply("ada", 11.0)
    assert not truth.got_reply("ada", 14.0)
    assert truth.waits == [1.0]


def test_a_reaction_is_a_message_but_no_turn() -> None:
    """A reaction needs no answer."""
    truth = Truth()
    truth.reacted()
    assert (truth.messages, truth.turns, truth.mean, truth.quantile(0.5)) == (1, [], None, None)


def test_quantiles_are_by_rank() -> None:
    """The quantile is a real waiting time of a customer."""
    truth = Truth()
    for index, wait in enumerate((4.0, 1.0, 3.0, 2.0)):
        truth.wrote(str(index), 0.0)
        truth.got_reply(str(index), wait)
    assert [truth.quantile(q) for q in (0.0, 0.5, 0.51, 0.95)] == [1.0, 2.0, 3.0, 4.0]


# Bodies


@pytest.mark.parametrize("who", [BOTH, PHONE_ONLY, USER_ONLY])
def test_a_message_shows_the_ids_that_whatsapp_shows(who: Person) -> None:
    """The library's decoder finds the person and the number in a message of every kind of customer."""
    update = payloads.message(who, "wamid.x", TEXT, at=1_800_000_000.9)
    (message,) = webhook_parser.decode(payloads.webhook(NUMBER, [update]), 1.0).events
    assert isinstance(message, events.Message)
    assert (message.wa_id, message.user_id, message.phone_number_id) == (who.phone, who.user, NUMBER.phone_number_id)
    assert (message.id, message.type, message.timestamp) == ("wamid.x", "text", 1_800_000_000)


def test_a_failed_status_carries_its_code() -> None:
    """The library's decoder finds status, code and recipient."""
    update = payloads.status(USER_ONLY, "wamid.y", "failed", at=5.0, code=131026)
    (status,) = webhook_parser.decode(payloads.webhook(NUMBER, [update]), 1.0).events
    assert isinstance(status, events.Status)
    assert (status.id, status.status, status.code, status.user_id) == ("wamid.y", "failed", "131026", USER_ONLY.user)


def test_message_ids_hold_the_phone_number_as_real_ones_do() -> None:
    """A stored message id may contain a phone number. Ids differ all the same."""
    first, second = (payloads.wamid(BOTH, serial, inbound=True) for serial in (1, 2))
    assert BOTH.phone.encode() in base64.b64decode(first.removeprefix("wamid."))
    assert first != second


def test_people_are_of_three_kinds() -> None:
    """Of five customers three show both ids, one the phone alone, one the business-scoped id alone."""
    kinds = [(bool(who.phone), bool(who.user)) for who in map(person, range(5))]
    assert kinds == [(True, True)] * 3 + [(True, False), (False, True)]


# The Cloud API


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


# The webhooks' way


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


# Customers


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


# Scenarios


def test_trouble_comes_and_goes() -> None:
    """The outage lasts from second 4 to 12 of every 30."""
    assert [OUTAGE.troubled(t) for t in (0.0, 4.0, 11.9, 12.0, 34.0, 42.0)] == [False, True, True, False, True, False]
    assert OUTAGE.conditions(5.0) is OUTAGE.trouble
    assert OUTAGE.conditions(3.0) is OUTAGE.normal


def test_each_scenario_has_its_name() -> None:
    """The names are those of the command line."""
    assert set(SCENARIOS) == {"calm", "slow", "outage", "quality-drop"}
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())


# Both sides compared

EXPOSITION = """
# HELP chatvitals_messages_received Inbound messages.
# TYPE chatvitals_messages_received counter
chatvitals_messages_received_total{phone_number_id="1",type="text"} 5.0
chatvitals_messages_received_total{phone_number_id="1",type="reaction"} 1.0
# HELP chatvitals_turns_opened Turns.
# TYPE chatvitals_turns_opened counter
chatvitals_turns_opened_total{phone_number_id="1",turn="first"} 2.0
chatvitals_turns_opened_total{phone_number_id="1",turn="next"} 2.0
# HELP chatvitals_turns Turns.
# TYPE chatvitals_turns counter
chatvitals_turns_total{phone_number_id="1",turn="first",outcome="answered"} 1.0
chatvitals_turns_total{phone_number_id="1",turn="next",outcome="answered"} 2.0
chatvitals_turns_total{phone_number_id="1",turn="next",outcome="failed"} 0.0
# HELP chatvitals_turns_open Turns.
# TYPE chatvitals_turns_open gauge
chatvitals_turns_open{phone_number_id="1"} 1.0
# HELP chatvitals_response_seconds Responses.
# TYPE chatvitals_response_seconds histogram
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="1.0"} 0.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="2.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="first",le="+Inf"} 1.0
chatvitals_response_seconds_count{phone_number_id="1",turn="first"} 1.0
chatvitals_response_seconds_sum{phone_number_id="1",turn="first"} 1.5
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="1.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="2.0"} 1.0
chatvitals_response_seconds_bucket{phone_number_id="1",turn="next",le="+Inf"} 2.0
chatvitals_response_seconds_count{phone_number_id="1",turn="next"} 2.0
chatvitals_response_seconds_sum{phone_number_id="1",turn="next"} 3.5
"""


def _measured(*waits: float, waiting: int = 1) -> Truth:
    truth = Truth()
    for index, wait in enumerate(waits):
        truth.wrote(str(index), 0.0)
        truth.got_reply(str(index), wait)
    for index in range(waiting):
        truth.wrote(f"waiting {index}", 0.0)
    return truth


def test_a_scrape_is_summed_over_its_series() -> None:
    """Types, turns and outcomes add up. The quantile is interpolated within its bucket."""
    reported = comparison.parse(EXPOSITION)
    assert (reported.messages, reported.opened, reported.answered, reported.unanswered) == (6, 4, 3, 1)
    assert reported.mean == pytest.approx(5 / 3)
    bucket = reported.bucket(0.5)
    assert bucket is not None
    assert bucket == pytest.approx((1.0, 2.0, 1.5))
    assert reported.bucket(0.95) == (2.0, float("inf"), 2.0)


def test_both_sides_agree_when_counts_are_equal_and_times_close() -> None:
    """Times may differ by what the ways take. Each row says how much."""
    truth = _measured(0.6, 1.4, 2.9)
    truth.reacted()
    truth.reacted()
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert [row.name for row in rows if not row.agrees] == []
    assert comparison.verdict(rows) == "Customers and metrics agree."


def test_a_count_that_is_off_by_one_disagrees_by_name() -> None:
    """Counts are exact, and the verdict names the row with both values."""
    truth = _measured(0.6, 1.4, 2.9, waiting=2)
    truth.reacted()
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert {row.name for row in rows if not row.agrees} == {"turns", "unanswered or waiting"}
    assert "turns: customers measured 5, metrics say 4 (allowed: exact)" in comparison.verdict(rows)


def test_times_that_are_too_far_apart_disagree() -> None:
    """A mean or a quantile outside its tolerance is a disagreement."""
    truth = _measured(3.0, 3.1, 3.2)
    rows = comparison.compare(truth, comparison.parse(EXPOSITION))
    assert {"response mean", "response p50"} <= {row.name for row in rows if not row.agrees}


def test_a_late_webhook_widens_the_tolerance() -> None:
    """Within WhatsApp's whole second the bot's side cannot know when a delayed message was written."""
    truth = _measured(1.9, 2.3, 2.4)
    rows, reported = (4, 5), comparison.parse(EXPOSITION)
    assert [comparison.compare(truth, reported)[row].agrees for row in rows] == [False, False]
    for turn in truth.turns:
        turn.unknown = 0.4
    assert [comparison.compare(truth, reported)[row].agrees for row in rows] == [True, True]


def test_nothing_measured_and_nothing_reported_agree() -> None:
    """Without an answered turn there is no time to compare."""
    rows = comparison.compare(Truth(), comparison.parse(""))
    assert all(row.agrees for row in rows)
    assert rows[4].measured == rows[4].reported == "-"


def test_the_closing_table_is_aligned_text() -> None:
    """A plain terminal gets columns, and a NO where both sides disagree."""
    lines = table_lines(comparison.compare(_measured(0.6, 1.4, 2.9), comparison.parse(EXPOSITION)))
    assert lines[0].split() == ["customers", "metrics", "allowed", "agree"]
    assert lines[1].startswith("messages")
    assert lines[1].endswith("NO")
    assert {text[lines[0].index("agree") :] for text in lines[1:]} == {"yes", "NO"}


def test_a_moment_is_one_line() -> None:
    """The line shows both sides and says when there is trouble."""
    reported = comparison.parse(EXPOSITION)
    shown = line(Snapshot(4.0, 2, _measured(1.0), reported, trouble=True))
    assert "[trouble]" in shown
    assert "customers: 2 turns, 1 answered, 1 waiting, mean 1.00 s" in shown
    assert "metrics: 4 turns, 3 answered, 1 waiting, mean 1.67 s" in shown
    assert "nothing yet" in line(Snapshot(0.0, 0, Truth(), None, trouble=False))


def test_a_terminal_gets_a_moving_table_and_the_closing_one() -> None:
    """The live view shows both sides and the trouble. At the end stand the rows and the verdict."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    shown, truth, reported = RichView(console), _measured(0.6, 1.4, 2.9), comparison.parse(EXPOSITION)
    shown.start(OUTAGE, "http://127.0.0.1:9464/metrics")
    shown.show(Snapshot(4.0, 2, truth, reported, trouble=True))
    shown.say("Nobody writes any more.")
    shown.end(comparison.compare(truth, reported), "It was quiet.")
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    for words in ("TROUBLE", "Nobody writes any more.", "unanswered or waiting", "Customers and metrics disagree."):
        assert words in text


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
