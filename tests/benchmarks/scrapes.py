"""The cost of a scrape: `python -m tests.benchmarks.scrapes` prints its CPU time and the stalls of a real bot.

A scrape is what Prometheus asks for: OpenMetrics, compressed. For the stalls, a bot under uvicorn gets 100 webhooks a
second, and its event loop counts how late it is while it is scraped and while it is not. A delay in which another
process had the core counts only for the part that the bot itself computed.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.benchmarks import scraper
from tests.benchmarks.conditions import Others, missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chatvitals.vitals import Vitals

CPU_BUDGET = 6.0
"""Milliseconds for each business number, of a scrape after which all of them had a conversation."""
STALL_BUDGET = 10.0
"""Milliseconds, for the worst of 20 scrapes."""
_PACKAGES = ("uvicorn", "starlette", "starlette_exporter", "redis")
_PAUSE = 0.5  # seconds between a scrape and a look without one


class Cost(NamedTuple):
    """CPU milliseconds of a scrape in the bot's process, the median of several but for the first, and its size."""

    lines: int
    first: float
    unchanged: float
    changed: float
    """After a conversation with each business number."""
    packed: int
    """Bytes that are sent."""


class Stall(NamedTuple):
    """The longest delays of the event loop in milliseconds that are due to the bot."""

    usual: float
    """The median of all scrapes."""
    worst: float
    idle: float
    """The worst of as many looks without a scrape."""
    late: float
    """The worst of all scrapes with what other processes took."""


def cost(url: str, numbers: int, scrapes: int) -> Cost:
    """Return the cost of a scrape of so many business numbers."""
    from chatvitals.exporters.prometheus import page  # noqa: PLC0415 - after the check of the machine
    from tests.benchmarks import cells  # noqa: PLC0415

    vitals = _vitals(url)
    cells.fill(vitals.store, numbers)

    def scrape(before: Callable[[], None] | None = None) -> float:
        if before is not None:
            before()
        began = time.process_time()
        page(vitals.collector, scraper.ACCEPT, "gzip")
        return (time.process_time() - began) * 1e3

    try:
        vitals._pipeline.settle()
        first = scrape()
        unchanged = statistics.median(scrape() for _ in range(scrapes))
        changed = statistics.median(scrape(lambda: cells.touch(vitals.store, numbers)) for _ in range(scrapes))
        body = page(vitals.collector, scraper.ACCEPT, "gzip").body
        return Cost(gzip.decompress(body).count(b"\n"), first, unchanged, changed, len(body))
    finally:
        vitals.close()


def _vitals(url: str) -> Vitals:
    from chatvitals.settings import Settings  # noqa: PLC0415
    from chatvitals.vitals import Vitals  # noqa: PLC0415

    return Vitals(Settings.load({"store": url, "hooks": False, "label_cap": 500}, environ={}), background=False)


def stall(url: str, numbers: int, scrapes: int, rate: float) -> Stall:
    """Return the longest delays of a real bot's event loop with scrapes and without."""
    from tests.benchmarks import socket_load, socket_servers, traffic  # noqa: PLC0415
    from tests.benchmarks.socket_bot import NUMBERS  # noqa: PLC0415

    with socket_servers.served(url, 0, "tests.benchmarks.heartbeat_bot:app", {NUMBERS: str(numbers)}) as (port, _):
        looks = _Looks(f"http://127.0.0.1:{port}", scrapes)
        requests = traffic.requests(0, int(rate * 1.5), numbers)
        socket_load.run(port, requests, rate, 0)  # warm
        looks.start()
        turn = 0
        while looks.is_alive():
            turn += 1
            socket_load.run(port, traffic.requests(turn * 10_000, int(rate * 2), numbers), rate, turn)
    looks.join()
    if looks.error is not None:
        raise looks.error
    scraped, idle = [own * 1e3 for _, own in looks.scraped], [own * 1e3 for _, own in looks.idle]
    return Stall(statistics.median(scraped), max(scraped), max(idle), max(looks.scraped)[0] * 1e3)


class _Looks(threading.Thread):
    """Scrapes a bot, and in turn only waits as long as a scrape takes. Notes the longest delay of each."""

    def __init__(self, address: str, scrapes: int) -> None:
        super().__init__()
        self._address = address
        self._scrapes = scrapes
        self.scraped: list[tuple[float, float]] = []
        self.idle: list[tuple[float, float]] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for turn in range(self._scrapes + 1):
                began = time.monotonic()
                scraped = self._longest(lambda: self._get("/metrics"))
                seconds = time.monotonic() - began
                time.sleep(_PAUSE)
                idle = self._longest(lambda waited=seconds: time.sleep(waited))  # type: ignore[misc]
                time.sleep(_PAUSE)
                if turn:  # the first scrape renders everything once
                    self.scraped.append(scraped)
                    self.idle.append(idle)
        except Exception as error:  # noqa: BLE001 - the main thread raises it
            self.error = error

    def _longest(self, work: Callable[[], object]) -> tuple[float, float]:
        self._get("/gap")
        work()
        time.sleep(0.01)
        late, own = map(float, self._get("/gap").split())
        return late, own

    def _get(self, path: str) -> bytes:
        return scraper.scrape(self._address + path)


def rows(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines of the table as they are measured."""
    yield (
        "| store | numbers | lines | CPU: first scrape | nothing changed | all numbers changed | sent "
        "| delay of the event loop | worst | without scrapes | with other processes |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for numbers in options.numbers:
        for kind in options.stores:
            with ExitStack() as stack:
                found = cost(_url(kind, stack), numbers, max(options.scrapes // 4, 3))
            with ExitStack() as stack:
                held = stall(_url(kind, stack), numbers, options.scrapes, options.rate)
            cpu = " | ".join(f"{each:.0f} ms" for each in (found.first, found.unchanged, found.changed))
            delays = " | ".join(f"{each:.1f} ms" for each in held)
            yield f"| {kind} | {numbers} | {found.lines:,} | {cpu} | {found.packed / 1000:.0f} kB | {delays} |"
            above = missed(numbers, found, held)
            if above:
                options.missed.append(f"{kind}, {numbers} numbers: {' and '.join(above)}")


def missed(numbers: int, found: Cost, held: Stall) -> list[str]:
    """Return the budgets that a store has missed."""
    budget = CPU_BUDGET * numbers
    return [
        *([f"CPU above {budget:g} ms"] if found.changed > budget else []),
        *([f"worst delay above {STALL_BUDGET:g} ms"] if held.worst > STALL_BUDGET else []),
    ]


def _url(kind: str, stack: ExitStack) -> str:
    from tests.helpers import services  # noqa: PLC0415

    if kind == "memory":
        return "memory:"
    if kind == "redis":
        return stack.enter_context(services.redis_server())
    return f"sqlite:///{Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'scrapes.db'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scrapes", description=__doc__.splitlines()[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 100], metavar="N", help="business numbers")
    parser.add_argument("--scrapes", type=int, default=20, metavar="N", help="scrapes of each bot (default: 20)")
    parser.add_argument("--rate", type=float, default=100.0, metavar="N", help="webhooks a second (default: 100)")
    parser.add_argument("--stores", nargs="+", default=["memory", "sqlite", "redis"],
                        choices=["memory", "sqlite", "redis"])  # fmt: skip
    options = parser.parse_args(arguments)
    lacking = missing(_PACKAGES, ["redis-server"] if "redis" in options.stores else [])
    if lacking:
        print(lacking, file=sys.stderr)  # noqa: T201 - a command prints
        return 2
    os.sched_setaffinity(0, {1})
    options.missed = []
    others = Others()
    try:
        for line in rows(options):
            print(line, flush=True)  # noqa: T201
    except RuntimeError as error:
        print(f"There is no verdict: {error}.", file=sys.stderr)  # noqa: T201
        return 2
    complaint = others.complaint()
    if complaint:
        print(f"\n{complaint}")  # noqa: T201
        return 0
    print("\n" + ("\n".join(f"Budget not met: {each}." for each in options.missed) or "All budgets are met."))  # noqa: T201
    return 1 if options.missed else 0


if __name__ == "__main__":
    sys.exit(main())
