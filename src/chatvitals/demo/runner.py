"""The run of the demo over real HTTP on loopback: stand-in, bot, customers, and the final comparison."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from chatvitals.demo import comparison, order_flow
from chatvitals.demo.customers import Population
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.processes import Bot, StartError, bot_process, in_words, listen, serving
from chatvitals.demo.rating_timeline import Seen
from chatvitals.demo.view import Snapshot
from chatvitals.simulator.cloud_api import CloudApi
from chatvitals.simulator.graph_api import GraphEdges
from chatvitals.simulator.people import BusinessNumber
from chatvitals.simulator.ratings import Ratings
from chatvitals.simulator.webhook_delivery import Delivery, WebhookTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.demo.comparison import Reported
    from chatvitals.demo.scenarios import Scenario
    from chatvitals.demo.view import View
    from chatvitals.simulator.conditions import Conditions

SEED = 20_261_123
SETTLE_SECONDS = 2.0
_APP_SECRET = "a-made-up-app-secret"  # noqa: S105 - it signs made-up webhooks on loopback
_ACCESS_TOKEN = "a-made-up-access-token"  # noqa: S105 - as above
_VERIFY_TOKEN = "a-made-up-verify-token"  # noqa: S105 - as above
_FRAME_SECONDS = 0.25
_SCRAPE_SECONDS = 1.0
_LAST_ANSWERS_SECONDS = 1.5
_ARRIVAL_SECONDS = 10.0
_POLL_SECONDS = 2.0
_HOURLY_CALLS = 10_000  # two per poll; the stand-in has no limit
_FOLLOW_SECONDS = 3 * _POLL_SECONDS
_MARGIN_SECONDS = 0.5


class _World(NamedTuple):
    """The running parts of the demo."""

    api: CloudApi
    delivery: Delivery
    population: Population
    bot: Bot
    client: httpx.AsyncClient
    ratings: Ratings
    seen: Seen
    folder: Path
    graph_url: str
    app_id: str


async def play(scenario: Scenario, view: View, *, duration: float | None, port: int, seed: int = SEED) -> bool:
    """Run a scenario. Return whether customers and metrics agree.

    Args:
        scenario: the scenario to run.
        view: the display.
        duration: seconds in which customers write. None means until Ctrl-C.
        port: port of the bot and its `/metrics`. 0 takes a free port.
        seed: random seed of the customers and WhatsApp.

    Raises:
        StartError: a part did not start, or the bot ended.

    """
    truth = Truth()
    began = time.monotonic()

    def conditions() -> Conditions:
        return scenario.conditions(time.monotonic() - began)

    stop = asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="chatvitals-demo-", ignore_cleanup_errors=True) as folder:
        async with AsyncExitStack() as stack:
            stack.enter_context(_ctrl_c(stop))
            world = await _build(
                stack, scenario, truth, conditions, duration=duration, port=port, folder=Path(folder), seed=seed
            )
            began = time.monotonic()
            view.start(scenario, f"{world.bot.url}/metrics")
            for sentence in _invitations(world):
                view.say(sentence)
            try:
                await _show(world, scenario, truth, view, stop=stop, began=began, duration=duration)
                view.say("No more messages come. The last numbers settle.")
                reported = await _close(world, scenario, truth, view, began=began)
            except httpx.HTTPError as error:
                raise StartError(f"the bot no longer answers ({error!r}). It wrote:\n{world.bot.words}") from None
            rows = comparison.compare(truth, reported)
            if scenario.rated:
                rows += world.seen.rows(truth, whole=duration is not None and not stop.is_set())
            view.end(rows, scenario.outcome(truth.gave_up, truth.order.completed))
            for sentence in _notes(world, reported):
                view.say(sentence)
            return all(row.agrees for row in rows)


async def _build(  # noqa: PLR0913 - all that the parts need
    stack: AsyncExitStack,
    scenario: Scenario,
    truth: Truth,
    conditions: Callable[[], Conditions],
    *,
    duration: float | None,
    port: int,
    folder: Path,
    seed: int,
) -> _World:
    number = BusinessNumber()
    with listen(port) as free:
        port = free.getsockname()[1]
    sock = stack.enter_context(listen())
    graph_url = f"http://127.0.0.1:{sock.getsockname()[1]}"
    environ = {
        "WHATSAPP_APP_SECRET": _APP_SECRET,
        "WHATSAPP_ACCESS_TOKEN": _ACCESS_TOKEN,
        "WHATSAPP_VERIFY_TOKEN": _VERIFY_TOKEN,
        "GRAPH_URL": f"{graph_url}/v26.0",
        "WHATSAPP_PHONE_NUMBER_ID": number.phone_number_id,
        "ORDER_ABANDONED_AFTER": f"{order_flow.longest_silence(scenario):g}",
        "BOT_THINK_SECONDS": in_words(scenario.think),
        # Empty where there are no ratings: the bot must not inherit an id and poll the real API.
        "WHATSAPP_WABA_ID": number.waba_id if scenario.rated else "",
        "CHATVITALS_GRAPH_URL": graph_url,
        "CHATVITALS_POLL_EVERY": f"{_POLL_SECONDS:g}",
        "CHATVITALS_HOURLY_CALLS": f"{_HOURLY_CALLS}",
        "CHATVITALS_STORE": f"sqlite:///{folder / 'chatvitals.db'}",
        "CHATVITALS_SETTLE_AFTER": f"{SETTLE_SECONDS:g}",
        "CHATVITALS_UNANSWERED_AFTER": "3600",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    bot = await stack.enter_async_context(bot_process(port, environ, folder / "bot.log"))
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(5.0, pool=None), limits=httpx.Limits(max_connections=100), trust_env=False
    )
    delivery = Delivery(
        WebhookTarget(f"{bot.url}/webhook", _APP_SECRET),
        number,
        client=client,
        rng=random.Random(seed),
        conditions=conditions,
    )
    edges = GraphEdges(_ACCESS_TOKEN, app_secret=_APP_SECRET)
    api = CloudApi(
        number,
        _ACCESS_TOKEN,
        delivery=delivery,
        rng=random.Random(seed + 1),
        conditions=conditions,
        edges=edges.routes(),
    )
    every = scenario.reviewed_every(duration)
    ratings = Ratings(number, edges, departures=api.departures, every=every, tell=delivery.tell)
    await stack.enter_async_context(serving(api.app, sock))
    stack.push_async_callback(delivery.close)
    population = Population(api, truth, rng=random.Random(seed + 2), scenario=scenario)
    stack.push_async_callback(population.close)
    await bot.ready(client, _VERIFY_TOKEN)
    return _World(api, delivery, population, bot, client, ratings, Seen(), folder, graph_url, edges.app_id)


async def _show(  # noqa: PLR0913 - as above
    world: _World,
    scenario: Scenario,
    truth: Truth,
    view: View,
    *,
    stop: asyncio.Event,
    began: float,
    duration: float | None,
) -> None:
    """Let customers arrive and show the state until the time is over or a signal comes."""
    world.population.open()
    reported: Reported | None = None
    next_scrape = _SCRAPE_SECONDS
    slows_at, slowed = scenario.slows_at(duration), False
    while not stop.is_set():
        elapsed = time.monotonic() - began
        if duration is not None and elapsed >= duration:
            break
        if not world.bot.running:
            raise StartError(f"the bot ended. It wrote:\n{world.bot.words}")
        if elapsed >= next_scrape:
            next_scrape = elapsed + _SCRAPE_SECONDS
            reported = await _scrape(world)
        if elapsed >= slows_at and not slowed:
            slowed = True
            world.bot.think(scenario.later)
        seen = None
        if scenario.rated:
            seen = world.seen
            world.ratings.look(elapsed)
            _announce(world, reported, view, elapsed)
        trouble = slowed or scenario.troubled(elapsed)
        view.show(Snapshot(elapsed, world.population.present, truth, reported, trouble, seen))
        rest = _FRAME_SECONDS if duration is None else min(_FRAME_SECONDS, max(duration - elapsed, 0.0))
        await _either(stop, rest)


def _announce(world: _World, reported: Reported | None, view: View, elapsed: float) -> None:
    for text in world.seen.note(elapsed, world.ratings, reported):
        view.say(text)


async def _close(world: _World, scenario: Scenario, truth: Truth, view: View, *, began: float) -> Reported:
    """End in an order that leaves nothing in between, then scrape once.

    First, customers stop writing, and the last answers have a moment to come. Then WhatsApp accepts no more replies, so
    unanswered turns stay unanswered on both sides. All messages still reach the bot, with retries. One settling window
    later every number is final (conversations/README.md 4). The latest rating gets a few polls to become visible.
    """
    await world.population.close()
    await _until(lambda: not truth.unanswered, _LAST_ANSWERS_SECONDS)
    world.api.open = False
    await _until(lambda: not world.api.delivering, _ARRIVAL_SECONDS)
    await asyncio.sleep(SETTLE_SECONDS + _MARGIN_SECONDS)
    give_up = time.monotonic() + _FOLLOW_SECONDS
    while True:
        reported = await _scrape(world)
        if scenario.rated:
            _announce(world, reported, view, time.monotonic() - began)
        if not scenario.rated or world.seen.followed or time.monotonic() >= give_up:
            return reported
        await asyncio.sleep(_MARGIN_SECONDS)


async def _scrape(world: _World) -> Reported:
    answer = await world.client.get(f"{world.bot.url}/metrics")
    answer.raise_for_status()
    return comparison.parse(answer.text)


def _invitations(world: _World) -> list[str]:
    """Return commands to try while the demo runs, in a form to copy."""
    bot = world.bot.url
    check = (
        "chatvitals doctor",
        f"--graph-url {world.graph_url} --access-token {_ACCESS_TOKEN}",
        f"--waba {BusinessNumber().waba_id} --app-id {world.app_id}",
        f"--app-secret {_APP_SECRET} --verify-token {_VERIFY_TOKEN}",
        f"--url {bot}/webhook",
        f"--metrics-url {bot}/metrics",
        f"--store sqlite:///{world.folder / 'chatvitals.db'}",
    )
    return [
        f"WhatsApp's stand-in: {world.graph_url}",
        f"How far customers get:\n  chatvitals journeys --metrics {bot}/metrics",
        "Whether the bot is set up well:\n  " + " \\\n  ".join(check),
    ]


def _notes(world: _World, reported: Reported) -> list[str]:
    """Return further sentences for the end of the run."""
    delivery, api = world.delivery, world.api
    posted = f"{delivery.posts} webhooks posted, {delivery.retries} of them again"
    notes = [
        "Rows of order: reached the step / how often / left or still there.",
        "Row not understood: turns / steps again. Row greeting: saw it / paid.",
        "Rows response p50, p95: the bucket counts, such as 1-2 s.",
        f"{posted}. {api.accepted} sends accepted, {api.refused} refused.",
    ]
    if reported.internal_errors or reported.dropped:
        notes.append(f"Inside chatvitals: {reported.internal_errors:g} errors, {reported.dropped:g} events not used.")
    warnings = [text for text in world.bot.words.splitlines() if text.startswith("chatvitals: ")]
    notes.extend(text for text in warnings if "metrics_token" not in text)  # on loopback the metrics may be open
    return notes


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not condition() and time.monotonic() < give_up:  # noqa: ASYNC110 - there is no event for the condition
        await asyncio.sleep(0.02)


async def _either(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not longer than until `stop`."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


@contextmanager
def _ctrl_c(stop: asyncio.Event) -> Iterator[None]:
    """Let the first Ctrl-C request the closing table. A second Ctrl-C, or SIGTERM, ends everything at once."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    before: dict[signal.Signals, Any] = {}

    def asked(number: int, _: object) -> None:
        signal.signal(number, ended)
        loop.call_soon_threadsafe(stop.set)

    def ended(number: int, _: object) -> None:
        signal.signal(number, signal.default_int_handler)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    for wanted, handler in ((signal.SIGINT, asked), (signal.SIGTERM, ended)):
        before[wanted] = signal.signal(wanted, handler)
    try:
        yield
    finally:
        for wanted, handler in before.items():
            signal.signal(wanted, handler)
