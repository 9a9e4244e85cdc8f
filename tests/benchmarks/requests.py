"""The cost of a request: time in the bot, and all CPU time including the background thread's."""

from __future__ import annotations

import asyncio
import gc
import statistics
from time import process_time
from typing import TYPE_CHECKING

from tests.benchmarks import apps, traffic
from tests.benchmarks.rounds import Added, added, quick_half, rotated, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.apps import Subject

SETTLED = 20.0  # seconds after the last event at which every settling window has passed
_CONTACTS = 20_000
_BURST = 20  # after a pause, the first of them find cold caches, whatever the app
_PAUSE = 0.1


def webhook(folder: Path, rounds: int, each: int) -> tuple[dict[str, Added], dict[str, float]]:
    """Return the time that each subject adds to a webhook, in µs: the median and the slowest 1 %.

    In a round each subject gets `each` messages in bursts, 200 a second, while its background thread commits; the
    round's figure is the median. The slowest are those that met the thread at work, or whatever else ran.
    """
    subjects = [apps.bare(), apps.with_exporter(), apps.with_chatvitals(folder), apps.with_chatvitals()]
    typical: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    every: dict[str, list[float]] = {subject.name: [] for subject in subjects}

    async def measure() -> None:
        for turn in range(rounds + 1):
            deliveries = traffic.messages(turn * each, each, _CONTACTS, 200.0)
            for subject in rotated(subjects, turn):
                seconds: list[float] = []
                for start in range(0, each, _BURST):
                    seconds += await subject.deliver(deliveries[start : start + _BURST])
                    await asyncio.sleep(_PAUSE)
                subject.catch_up()
                if turn:  # the first one warms up
                    typical[subject.name].append(statistics.median(seconds) * 1e6)
                    every[subject.name] += seconds

    run(measure, subjects)
    slowest = {name: sorted(found)[int(len(found) * 0.99)] * 1e6 for name, found in every.items()}
    return _over_bare(typical), {name: figure - slowest[apps.BARE] for name, figure in slowest.items()}


def cpu(folder: Path, rounds: int, each: int) -> dict[str, Added]:
    """Return all CPU time per webhook at full load, until everything is committed, less the bare app's, in µs.

    Each of `each` messages a round has its reply and three statuses; 2,000 webhooks a second on the traffic's clock.
    What settles is in it: from the second round on, and in the last one all that is left.
    """
    subjects = [apps.bare(), apps.with_exporter(), apps.with_chatvitals(folder), apps.with_chatvitals()]
    spent: dict[str, list[float]] = {subject.name: [] for subject in subjects}

    events = traffic.conversations(0, (rounds + 1) * each, _CONTACTS, 500.0)
    size = len(events) // (rounds + 1)

    async def measure() -> None:
        gc.collect()
        gc.freeze()  # the traffic itself: no bot has so much in memory, and each full collection would visit it
        for turn in range(rounds + 1):
            part = events[turn * size :] if turn == rounds else events[turn * size : (turn + 1) * size]
            for subject in rotated(subjects, turn):
                began = process_time()
                amount = len(await subject.deliver(part))
                subject.catch_up(SETTLED if turn == rounds else 0.0)
                spent[subject.name].append((process_time() - began) / amount * 1e6)
        for subject in subjects:
            _check(subject, (rounds + 1) * each)

    try:
        run(measure, subjects)
    finally:
        gc.unfreeze()
    return _over_bare({name: [statistics.fmean(found)] for name, found in spent.items()})


def other(folder: Path, rounds: int, each: int) -> Added:
    """Return what chatvitals adds to a GET that is no webhook, in µs."""
    subjects = [apps.bare(), apps.with_chatvitals(folder)]
    means: dict[str, list[float]] = {subject.name: [] for subject in subjects}
    request = traffic.Delivery(traffic.BEGIN, b"", traffic.get("/health"))

    async def measure() -> None:
        for turn in range(rounds):
            for subject in rotated(subjects, turn):
                means[subject.name].append(quick_half(await subject.deliver([request] * each)) * 1e6)

    run(measure, subjects)
    return _over_bare(means)[apps.SQLITE]


def _over_bare(found: dict[str, list[float]]) -> dict[str, Added]:
    return {name: added(figures, found[apps.BARE]) for name, figures in found.items() if name != apps.BARE}


def _check(subject: Subject, messages: int) -> None:
    """See that the work was done: every message was counted, and every turn ended."""
    if subject.vitals is None:
        return
    cells = subject.vitals.store.cells()
    for name in ("chatvitals_messages_received_total", "chatvitals_turns_total"):
        counted = sum(value for (family, _, _), value in cells.items() if family == name)
        if counted != messages:
            raise SystemExit(f"{subject.name}: {name} is {counted:g} after {messages} messages")
