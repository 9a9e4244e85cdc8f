"""The cost of the store: bytes and time per contact, and the delay of the event loop by a scrape."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tracemalloc
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple

from chatvitals.conversations import state
from chatvitals.events import Message, Send, Webhook
from chatvitals.exporters.prometheus import render
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.stores.base import Changes
from chatvitals.whatsapp import webhook_parser
from tests.benchmarks import apps, traffic
from tests.benchmarks.requests import SETTLED
from tests.benchmarks.traffic import NUMBER, Clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence
    from pathlib import Path

    from chatvitals.integrations.asgi import Message as AsgiMessage

_BATCH = 500


class Stall(NamedTuple):
    """The longest time in which the event loop came to nothing else, in ms, beside what was rendered meanwhile."""

    usual: float  # the median of all scrapes' longest
    worst: float
    idle: float  # the worst as long without a scrape: what else runs on the machine
    lines: int
    render: float  # ms of a scrape


def scrape(folder: Path, scrapes: int, lines: int) -> Stall:
    """Return how long scrapes of at least `lines` lines hold up the event loop that serves them."""
    subject = apps.with_chatvitals(folder, label_cap=100_000)
    vitals = subject.vitals
    assert vitals is not None
    serial = 0
    while (amount := render(vitals.collector)[0].count(b"\n")) < lines:
        serial += 1
        message = Message(
            phone_number_id=f"99{serial}",
            wa_id="15550004321",
            received=subject.clock.now,
            id=f"wamid.{serial}",
            type="text",
            timestamp=int(subject.clock.now),
        )
        vitals._emit(Webhook(result="accepted", received=message.received, events=[message]))
        subject.catch_up(SETTLED)
    app = vitals.metrics_app()

    async def receive() -> AsgiMessage:
        return {"type": "http.disconnect"}

    async def discard(_: AsgiMessage) -> None:
        pass

    async def measure() -> tuple[list[float], float, float]:
        gaps, took = [], []
        for _ in range(scrapes):
            gap, seconds = await _longest_gap(app(traffic.get("/metrics"), receive, discard))
            gaps.append(gap * 1e3)
            took.append(seconds * 1e3)
        seconds = statistics.median(took)
        idle = [(await _longest_gap(asyncio.sleep(seconds / 1e3)))[0] * 1e3 for _ in range(scrapes)]
        return gaps, max(idle), seconds

    try:
        gaps, idle, took = asyncio.run(measure())
    finally:
        subject.close()
    return Stall(statistics.median(gaps), max(gaps), idle, amount, took)


async def _longest_gap(work: Awaitable[None]) -> tuple[float, float]:
    """Return the longest time between two turns of the event loop while something is awaited, and all its time."""
    waiting = asyncio.ensure_future(work)
    began = last = perf_counter()
    longest = 0.0
    while not waiting.done():
        await asyncio.sleep(0)
        now = perf_counter()
        longest, last = max(longest, now - last), now
    await waiting
    return longest, last - began


def bytes_per_contact(contacts: int) -> float:
    """Return the bytes that a contact takes in the memory store: one that wrote, was answered and has read it."""
    tracemalloc.start()
    try:
        clock = Clock()
        pipeline = _pipeline("memory:", clock)
        _feed(pipeline, clock, traffic.conversations(0, 1, 1, 1.0))
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for start in range(0, contacts, 1000):
            _feed(pipeline, clock, traffic.conversations(1 + start, min(1000, contacts - start), 10 * contacts, 1000.0))
        pipeline.hasher()._keys.clear()  # it is bounded, and no part of a contact
        gc.collect()
        return (tracemalloc.get_traced_memory()[0] - before) / contacts
    finally:
        tracemalloc.stop()


def event(folder: Path, store: str, contacts: int, messages: int) -> float:
    """Return the µs of CPU per event, decoded before, where the store knows that many contacts."""
    url = "memory:" if store == apps.MEMORY else f"sqlite:///{folder}/{contacts}-contacts.db"
    clock = Clock()
    pipeline = _pipeline(url, clock)
    _populate(pipeline, contacts)
    events = [each for part in _events(traffic.conversations(0, messages, contacts, 500.0)) for each in part]
    spent = 0.0
    for start in range(0, len(events), _BATCH):
        for each in events[start : start + _BATCH]:
            clock.now = each.received
            pipeline.put(each)
        began = process_time()
        pipeline.drain()
        pipeline.sweep(exact=False)
        spent += process_time() - began
    pipeline.close()
    pipeline._store.close()
    return spent / len(events) * 1e6


def _populate(pipeline: Pipeline, contacts: int) -> None:
    """Fill the store with contacts that were answered: one's state, as the reducer leaves it, under each one's keys."""
    clock = Clock()
    model = _pipeline("memory:", clock)
    _feed(model, clock, traffic.conversations(0, 1, 1, 1.0))
    key = model.hasher().person(NUMBER, traffic.user(0))
    row = model._store.rows([key])[key]
    assert isinstance(row, bytes)
    contact = state.decode(row)
    hasher = pipeline.hasher()
    for start in range(0, contacts, 5000):
        changes = Changes()
        for each in range(start, min(start + 5000, contacts)):
            user = hasher.person(NUMBER, traffic.user(each))
            contact.aliases = [hasher.person(NUMBER, traffic.phone(each))]
            changes.states[user] = state.encode(contact), traffic.BEGIN + 8 * state.DAY
            changes.silent.add(user)
            changes.links[contact.aliases[0]] = user
        with pipeline._store.transaction() as transaction:
            transaction.commit(changes)


def _feed(pipeline: Pipeline, clock: Clock, deliveries: Iterable[traffic.Delivery | Send]) -> None:
    """Have everything committed and settled."""
    for events in _events(deliveries):
        for each in events:
            clock.now = max(clock.now, each.received)
            pipeline.put(each)
        pipeline.drain()
    clock.now += SETTLED
    pipeline.sweep()


def _events(deliveries: Iterable[traffic.Delivery | Send]) -> Iterable[Sequence[Webhook | Send]]:
    """Return the decoded events in batches."""
    events = [each if isinstance(each, Send) else webhook_parser.decode(each.body, each.at) for each in deliveries]
    return [events[start : start + _BATCH] for start in range(0, len(events), _BATCH)]


def _pipeline(url: str, clock: Clock) -> Pipeline:
    settings = Settings.load({"store": url, "queue_size": 1_000_000}, environ={})
    return Pipeline(settings, open_store(url), ErrorGuard(apps.fail), clock, background=False)
