"""Property of conversations/README.md 5: order, copies, workers, kills and idle sweeps change no number."""

from __future__ import annotations

import copy
import math
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from chatvitals.events import Call, Echo, Message, PersonEvent, Send, Status
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock
from tests.helpers.examples import examples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store
    from tests.helpers.redis_servers import RedisServer

EPOCH = 1_795_392_000
WINDOW = 10.0
WORKERS = 3
LONGEST = 500_000.0
LATER = LONGEST + 90_000.0 + 90_000.0  # after everything: all turns have ended, nothing is forgotten yet
DELIVERY = {catalogue.DUPLICATES.name, *catalogue.OWN_HEALTH}


@dataclass(frozen=True)
class Delivery:
    """An event, the worker that it reaches and how long that worker holds it before it commits."""

    at: float  # received, seconds since the epoch
    event: PersonEvent
    worker: int = 0
    held: float = 0.0
    kill_after: bool = False


@dataclass
class World:
    """Some workers on one store, with a clock. Conservation is checked whenever something was committed."""

    store: Store
    pipelines: list[Pipeline] = field(default_factory=list)
    clock: FakeClock = field(default_factory=lambda: FakeClock(EPOCH))

    def start(self) -> None:
        """Start all workers, as after a kill."""
        chosen = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef"}, environ={})
        self.pipelines = [
            Pipeline(chosen, self.store, ErrorGuard(_fail), self.clock, background=False) for _ in range(WORKERS)
        ]

    def play(self, deliveries: Sequence[Delivery], idle: Sequence[float] = ()) -> dict[Cell, float]:
        """Let everything happen, with sweeps at the points `idle`, and return the final cells."""
        self.start()
        actions: list[tuple[float, int, int, Delivery | None]] = [(at, 0, 0, None) for at in idle]
        for order, each in enumerate(deliveries):
            actions.append((each.at, 1, order, each))
            actions.append((each.at + each.held, 2, order, each))
        for at, action, _, delivery in sorted(actions, key=lambda entry: entry[:3]):
            self.clock.now = EPOCH + at
            if delivery is None:
                self.pipelines[0].sweep()
            elif action == 1:
                self.pipelines[delivery.worker].put(copy.copy(delivery.event))
            else:
                assert self.pipelines[delivery.worker].drain()
                self.conserve()
                if delivery.kill_after and not any(pipeline.waiting for pipeline in self.pipelines):
                    self.start()
        self.clock.now = EPOCH + LATER
        self.pipelines[0].sweep()
        self.conserve()
        return {cell: value for cell, value in self.store.cells().items() if cell[0] not in DELIVERY}

    def conserve(self) -> None:
        """Turns opened = sum over outcomes + turns open, always."""
        cells = self.store.cells()
        opened, ended, now = (
            sum(value for cell, value in cells.items() if cell[0] == family.name)
            for family in (catalogue.TURNS_OPENED, catalogue.TURNS, catalogue.TURNS_OPEN)
        )
        assert opened == ended + now
        waits = sum(v for cell, v in cells.items() if cell[0] == catalogue.WAIT_SECONDS.name and cell[2] != SUM)
        dismissed = sum(v for cell, v in cells.items() if cell[0] == catalogue.TURNS.name and "dismissed" in cell[1])
        assert ended - dismissed <= waits <= ended  # a dismissed closing remark has not waited


def _fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


GAPS = st.sampled_from([0.05, 0.4, 1.7, 4.3, 8.9, 14.2, 61.3, 305.1, 3700.9, 40_000.3, 87_000.7])
DELAYS = st.sampled_from([0.0, 0.0, 0.0, 2.6, 19.4])
CONTACTS = st.sampled_from(["15550004321", "15550004322"])
CATEGORY = {"15550004321": "service", "15550004322": "utility"}
ONE = ["message", "message", "closing", "reply", "reply", "campaign", "notice", "reaction", "echo", "statuses",
       "failed", "call", "revoke"]  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Delivery]:
    """Draw what happens to two contacts, each delivery received by one worker and committed at once."""
    now = 0.2
    sent: list[tuple[str, str, float]] = []
    asked: list[tuple[str, str]] = []
    out: list[Delivery] = []

    def person(phone: str, at: float) -> dict[str, object]:
        return {"phone_number_id": "990005556667778", "wa_id": phone, "received": EPOCH + at}

    for index in range(draw(st.integers(1, 14))):
        now = round(now + draw(GAPS), 3)
        if now > LONGEST:
            break
        phone, kind = draw(CONTACTS), draw(st.sampled_from(ONE))
        who = person(phone, now)
        second = EPOCH + math.floor(now - draw(DELAYS))
        name = f"wamid.{index}"
        event: PersonEvent
        match kind:
            case "message" | "closing":
                closing = kind == "closing"
                event = Message(**who, id=name, type="text", timestamp=second, closing=closing)  # type: ignore[arg-type]
                asked.append((phone, name))
            case "reply" | "campaign" | "notice" | "reaction":
                send_kind = "other" if kind == "reaction" else kind
                event = Send(**who, id=name, kind=send_kind, accepted=True, seconds=0.1)  # type: ignore[arg-type]
                sent.append((phone, name, now))
            case "echo":
                event = Echo(**who, id=name, type="text", timestamp=second)  # type: ignore[arg-type]
            case "call":
                call = draw(st.sampled_from(["handover", "fallback", "dismiss", "resolve"]))
                event = Call(**who, name=call)  # type: ignore[arg-type]
            case "revoke":
                of = draw(st.sampled_from(asked)) if asked else (phone, "wamid.unknown")
                who = person(of[0], now)
                event = Message(**who, id=name, type="revoke", of=of[1], timestamp=second)  # type: ignore[arg-type]
            case _:
                known = draw(st.sampled_from(sent)) if sent else (phone, name, now)
                status = "failed" if kind == "failed" else draw(st.sampled_from(["sent", "delivered", "read"]))
                event = Status(
                    **person(known[0], now), id=known[1], status=status, timestamp=EPOCH + math.floor(now),  # type: ignore[arg-type]
                    category=CATEGORY[known[0]], code="131000" if status == "failed" else "",
                )  # fmt: skip
        out.append(Delivery(now, event))
    return out


@st.composite
def disturbances(draw: st.DrawFn, history: list[Delivery]) -> tuple[list[Delivery], list[float]]:
    """Draw another way in which the same history may reach us: workers, held commits, copies, kills, idle sweeps."""
    out = []
    for delivery in history:
        room = 0.0
        event = delivery.event
        if not (isinstance(event, Status) and event.status == "failed"):  # when a failure is known decides what it is
            stamp = getattr(event, "timestamp", None)
            happened = delivery.at if stamp is None else min(delivery.at, stamp - EPOCH + 1.0)
            room = max(0.0, happened + WINDOW - 0.5 - delivery.at)
        held = round(room * draw(st.sampled_from([0.0, 0.0, 0.3, 0.8])), 3)
        worker = draw(st.integers(0, WORKERS - 1))
        out.append(replace(delivery, worker=worker, held=held, kill_after=draw(st.booleans())))
        if isinstance(event, Message | Status | Echo) and draw(st.booleans()):
            soon = held > 0.3 and draw(st.booleans())  # another worker commits a later copy first
            again = round(delivery.at + (0.2 if soon else 10.5 + draw(GAPS)), 3)
            event = copy.copy(event)
            event.received = EPOCH + again
            out.append(Delivery(again, event, worker=draw(st.integers(0, WORKERS - 1))))
    idle = draw(st.lists(st.floats(0.0, 200_000.0), max_size=6))
    return out, idle


def same(one: dict[Cell, float], other: dict[Cell, float]) -> None:
    """Assert that two sets of cells are equal: counts exactly, sums within rounding. A 0 is as good as no cell."""
    for cell in one.keys() | other.keys():
        assert math.isclose(one.get(cell, 0.0), other.get(cell, 0.0), rel_tol=1e-9, abs_tol=1e-5), cell


@examples(300)
@given(st.data())
def test_the_final_numbers_do_not_depend_on_how_events_reach_the_memory_store(data: st.DataObject) -> None:
    """Order within the window, copies, workers, kills and sweeps change no number, and conservation always holds."""
    history = data.draw(histories())
    expected = World(open_store("memory:")).play(history)
    disturbed, idle = data.draw(disturbances(history))
    same(World(open_store("memory:")).play(disturbed, idle), expected)


@examples(25)
@given(st.data())
def test_the_final_numbers_do_not_depend_on_how_events_reach_the_sqlite_store(data: st.DataObject) -> None:
    """The same on a file that several workers share."""
    history = data.draw(histories())
    expected = World(open_store("memory:")).play(history)
    disturbed, idle = data.draw(disturbances(history))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{Path(folder) / 'property.db'}")
        same(World(store).play(disturbed, idle), expected)
        store.close()


@examples(12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_final_numbers_do_not_depend_on_how_events_reach_the_redis_store(
    redis_server: RedisServer, data: st.DataObject
) -> None:
    """The same on a Redis, where each worker has its own client and commits may conflict."""
    history = data.draw(histories())
    expected = World(open_store("memory:")).play(history)
    disturbed, idle = data.draw(disturbances(history))
    store = open_store(redis_server.fresh_url())
    same(World(store).play(disturbed, idle), expected)
    store.close()
