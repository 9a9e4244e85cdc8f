"""How cost and size depend on how many contacts a store knows: `python -m tests.benchmarks.scale`.

Each store is filled with contacts, then the same load is measured at 1,000 and at N of them: CPU of this process per
event (for Redis, its own time is not in it), bytes per contact, and the time of a scrape.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatvitals.events import Message, Send, Status
from chatvitals.exporters.prometheus import render
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.vitals import Vitals
from tests.benchmarks.conditions import Others, missing
from tests.helpers import services

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatvitals.events import PersonEvent

_FEW = 1_000
_BATCH = 256
_EVENTS = 20_000
_SCRAPES = 15
_BUDGET = 1.25  # times the cost at 1,000 contacts


class Clock:
    """A clock that the load moves on."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Row(NamedTuple):
    """The measurements with so many contacts."""

    contacts: int
    microseconds: float  # per event: CPU of this process, the best of some rounds
    bytes_each: float
    scrape: float  # milliseconds, median


def conversation(index: int, serial: int, now: float) -> Iterator[PersonEvent]:
    """Return a message, its answer and the answer's statuses."""
    phone = f"1{index:010d}"
    sent = f"wamid.out{index}.{serial}"
    second = int(now)
    yield Message(
        phone_number_id="990001",
        wa_id=phone,
        id=f"wamid.in{index}.{serial}",
        type="text",
        timestamp=second,
        received=now,
    )
    yield Send(phone_number_id="990001", wa_id=phone, id=sent, kind="reply", accepted=True, received=now + 1)
    for after, name in enumerate(("sent", "delivered", "read")):
        yield Status(
            phone_number_id="990001", wa_id=phone, id=sent, status=name, timestamp=second, received=now + 1 + after
        )


class Load:
    """Drives one store without a thread: each batch is committed as it comes, and swept as a worker does."""

    def __init__(self, vitals: Vitals, clock: Clock) -> None:
        self.vitals = vitals
        self.clock = clock
        self.contacts = 0
        self.conversations = 0
        self._serial = 0

    def fill(self, contacts: int) -> None:
        """Have new contacts write once and be answered, until the store knows so many."""
        while self.contacts < contacts:
            upto = min(self.contacts + _BATCH // 5, contacts)
            self._commit(range(self.contacts, upto))
            self.contacts = upto
        self._sweep()

    def measure(self, rng: random.Random, events: int) -> float:
        """Return microseconds of CPU per event, of conversations with contacts drawn from all that are known."""
        self._sweep()
        began = time.process_time()
        count = 0
        while count < events:
            count += self._commit(rng.sample(range(self.contacts), _BATCH // 5))
        return (time.process_time() - began) * 1e6 / count

    def scrape(self) -> float:
        """Return how long a scrape takes, in milliseconds."""
        self._sweep()
        times = []
        for _ in range(_SCRAPES):
            began = time.perf_counter()
            render(self.vitals.collector)
            times.append((time.perf_counter() - began) * 1e3)
        return statistics.median(times)

    def _commit(self, indexes: Sequence[int]) -> int:
        self._serial += 1
        self.conversations += len(indexes)
        self.clock.now += 0.25
        now = self.clock.now
        events = [event for index in indexes for event in conversation(index, self._serial, now)]
        for event in events:
            self.vitals._emit(event)
        self.vitals._pipeline.drain()
        if not self._serial % 4:  # once a second
            self.vitals._pipeline.sweep(exact=False)
        return len(events)

    def _sweep(self) -> None:
        """Let everything settle, so that the next measurement stands alone."""
        self.clock.now += 20.0
        self.vitals._pipeline.sweep()


def run(url: str, contacts: int, events: int) -> list[Row]:
    """Measure one store, empty at first."""
    clock = Clock()
    vitals = Vitals(
        Settings.load({"store": url, "hooks": False}, {}), store=open_store(url), clock=clock, background=False
    )
    load, rng, rows = Load(vitals, clock), random.Random(7), []
    resident = _resident()
    for upto in dict.fromkeys((_FEW, contacts)):
        load.fill(upto)
        size = vitals.store.about().size or _resident() - resident  # a store in memory does not know its size
        load.measure(rng, events // 4)  # warm
        cost = min(load.measure(rng, events // 3) for _ in range(3))
        rows.append(Row(upto, cost, size / upto, load.scrape()))
    received = vitals.store.cells()["chatvitals_messages_received_total", ("990001", "text"), 0]
    if received != load.conversations:
        raise AssertionError(f"{load.conversations} messages were sent and {received:g} counted: no measurement")
    vitals.close()
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table. Exit status 1 where the cost grows beyond the budget, 2 where the machine lacks something."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scale", description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000, metavar="N", help="default: %(default)s")
    parser.add_argument(
        "--million", action="store_const", const=1_000_000, dest="contacts", help="as --contacts 1000000"
    )
    parser.add_argument(
        "--events", type=int, default=_EVENTS, metavar="N", help="per measurement (default: %(default)s)"
    )
    parser.add_argument("--stores", nargs="+", default=["memory", "sqlite"], choices=["memory", "sqlite", "redis"])
    options = parser.parse_args(arguments)
    redis = "redis" in options.stores
    lacking = missing(["redis"] if redis else [], ["redis-server"] if redis else [])
    if lacking:
        print(lacking, file=sys.stderr)  # noqa: T201 - a command prints
        return 2
    others = Others()
    print("| store | contacts | CPU per event | times | bytes per contact | scrape |\n|---|---|---|---|---|---|")  # noqa: T201
    worst = 0.0
    for kind in options.stores:
        with ExitStack() as stack:
            rows = run(_url(kind, stack), options.contacts, options.events)
        for row in rows:
            ratio = row.microseconds / rows[0].microseconds
            worst = max(worst, ratio)
            said = (f"{row.contacts:,}", f"{row.microseconds:.1f} µs", f"{ratio:.2f}", f"{row.bytes_each:.0f}")
            print("|", kind, "|", " | ".join(said), f"| {row.scrape:.1f} ms |", flush=True)  # noqa: T201
    complaint = others.complaint()
    if complaint:
        print(f"\n{complaint}")  # noqa: T201
        return 0
    if worst > _BUDGET:
        print(f"a store's cost per event grows {worst:.2f} times, beyond {_BUDGET:g}")  # noqa: T201
        return 1
    return 0


def _url(kind: str, stack: ExitStack) -> str:
    if kind == "memory":
        return "memory:"
    if kind == "redis":
        return stack.enter_context(services.redis_server())
    return f"sqlite:///{Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'scale.db'}"


def _resident() -> int:
    """Return how many bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
