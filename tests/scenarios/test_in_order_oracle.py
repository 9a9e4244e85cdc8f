"""The pipeline against a plain reading of conversations/README.md 2 to 4 (`tests/helpers/page_oracle.py`)."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st

from chatvitals.events import Call, Echo, Message, PersonEvent, Reply, Send, Status
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.stores import open_store
from tests.helpers.examples import examples
from tests.helpers.page_oracle import DAY, THRESHOLDS, Outbound, Reader, Thing
from tests.scenarios.test_order_independence import EPOCH, LATER, LONGEST, Delivery, World

if TYPE_CHECKING:
    from chatvitals.events import SendKind
    from chatvitals.metrics.measurements import Cell

WHO: dict[str, Any] = {"phone_number_id": "990005556667778", "wa_id": "15550004321"}
GAPS = st.sampled_from([0.713, 1.709, 4.307, 8.303, 14.219, 61.311, 305.117, 3700.909, 40_000.321, 87_000.723])
DELAYS = st.sampled_from([0.0, 0.0, 0.0, 3.1, 6.1, 25.3, 130.7, 30_000.1])
LATE = st.sampled_from([0.0, 0.0, 20.3, 72.7, 330.1, 3900.3, 44_000.7])  # of evidence that becomes known late
KINDS = ["message"] * 6 + ["closing"] * 3 + ["send"] * 3 + ["rejected", "status", "status", "failed", "failed", "echo",
         "echo", "reply", "dismiss", "resolve", "handover"]  # fmt: skip


@dataclass
class History:
    """The events that the pipeline gets, and the same in the oracle's terms."""

    deliveries: list[Delivery] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    outbound: dict[str, Outbound] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)

    def add(self, now: float, event: PersonEvent, *things: Thing) -> None:
        """Add an event and its meaning."""
        event.received = EPOCH + now
        self.deliveries.append(Delivery(now, event))
        self.things += things

    def record(self, name: str) -> Outbound:
        """Return the facts about an outbound message."""
        return self.outbound.setdefault(name, Outbound())


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw what happens to one contact, some of it known late."""
    history = History()
    now = 0.2
    for index in range(draw(st.integers(1, 14))):
        now = round(now + draw(GAPS), 3)
        if now > LONGEST:
            break
        add(draw, history, now, f"{index}")
    return history


def add(draw: st.DrawFn, history: History, now: float, name: str) -> None:  # noqa: C901 - a list of kinds
    """Draw one thing that happens."""
    event: PersonEvent
    drawn = draw(st.sampled_from(KINDS))
    second = math.floor(max(0.0, now - draw(LATE if drawn in {"status", "echo"} else DELAYS)))
    at = min(now, second + 1.0)
    match drawn:
        case "message" | "closing":
            closing = drawn == "closing"
            event = Message(**WHO, id=f"m{name}", type="text", timestamp=EPOCH + second, closing=closing)
            history.add(now, event, Thing(now, at, "message", f"m{name}", second, closing))
        case "send":
            kind: SendKind = draw(st.sampled_from(["reply", "reply", "reply", "campaign", "notice"]))
            history.add(now, Send(**WHO, id=f"b{name}", kind=kind, accepted=True))
            history.sent.append(f"b{name}")
            history.record(f"b{name}").kinds.append((now, "api", kind))
            if kind == "reply":
                history.things.append(Thing(now, now, "reply", f"b{name}", int(now), evidence="api"))
        case "rejected":
            history.add(now, Send(**WHO, kind="reply", accepted=False, code="131056"), Thing(now, now, "failure"))
        case "status" | "failed":
            known = draw(st.sampled_from([*history.sent, f"s{name}"]))
            status = "failed" if drawn == "failed" else draw(st.sampled_from(["sent", "sent", "delivered"]))
            if (known, status) in history.told:
                return
            history.told.add((known, status))
            history.sent.append(known)
            price = draw(st.sampled_from(["", "", "service", "marketing", "utility"]))
            event = Status(**WHO, id=known, status=status, timestamp=EPOCH + second, category=price, code="131000")
            history.add(now, event)
            record = history.record(known)
            record.prices += [(now, price)] if price else []
            if status == "failed":
                record.failures.append(now)
                history.things.append(Thing(now, at, "failure", known))
            elif status == "sent" and all(word == "reply" for _, _, word in record.kinds):
                history.things.append(Thing(now, at, "reply", known, second, evidence="status"))
        case "echo":
            event = Echo(**WHO, id=f"e{name}", type="text", timestamp=EPOCH + second)
            history.record(f"e{name}").kinds.append((now, "echo", "reply"))
            history.add(now, event, Thing(now, at, "reply", f"e{name}", second, evidence="echo", human=True))
        case "reply":
            event = Reply(**WHO, id=f"r{name}", actor="human")
            history.record(f"r{name}").kinds.append((now, "code", "reply"))
            history.add(now, event, Thing(now, now, "reply", f"r{name}", int(now), evidence="code", human=True))
        case "dismiss" | "resolve" | "handover" as call:
            history.add(now, Call(**WHO, name=call), Thing(now, now, call))
        case other:
            raise ValueError(other)


def total(cells: dict[Cell, float], family: catalogue.Family, *labels: str, index: int = 0) -> float:
    """Return the sum over the cells of a family that have these label values."""
    return sum(
        v for (f, values, i), v in cells.items() if f == family.name and i == index and set(labels) <= set(values)
    )


@examples(600)
@given(histories(), st.lists(st.floats(0.0, LONGEST), max_size=8))
def test_turns_are_as_the_page_says(history: History, idle: list[float]) -> None:
    """Late evidence, late messages, closing remarks, prices, refused calls: all as a plain reading of the page."""
    for one, other in itertools.combinations(history.things, 2):
        if one.name != other.name or one.what == "message":  # at one moment, the page has no opinion
            for tie in (0.0, DAY, 8 * DAY, *THRESHOLDS):
                assume(abs(abs(one.at - other.at) - tie) > 1e-6)
    events = sorted(history.deliveries, key=lambda delivery: delivery.at)
    cells = World(open_store("memory:")).play(events, idle)
    reader = Reader(history.things, history.outbound)
    reader.read(LATER)
    late = sum(
        record.answered and received > record.decided_at
        for record in history.outbound.values()
        for received in record.failures
    )
    assert reader.turn is None
    counts = Counter({key: count for key, count in reader.counts.items() if count})
    seen: Counter[tuple[str, ...]] = Counter()
    for label in catalogue.TURN:
        seen["opened", label] += int(total(cells, catalogue.TURNS_OPENED, label))
        for outcome in catalogue.OUTCOME:
            seen["ended", label, outcome] += int(total(cells, catalogue.TURNS, label, outcome))
        for threshold in THRESHOLDS:
            crossed = f"{threshold:g}"
            seen["overdue", label, crossed] += int(total(cells, catalogue.TURNS_OVERDUE, label, crossed))
    for origin in ("new", "returning"):
        seen["conversations", origin] += int(total(cells, catalogue.CONVERSATIONS_STARTED, origin))
    seen["handovers",] += int(total(cells, catalogue.HANDOVERS))
    seen["human",] += sum(
        int(v) for (f, _, i), v in cells.items() if f == catalogue.HUMAN_FIRST_RESPONSE.name and i != SUM
    )
    assert +seen == counts
    assert total(cells, catalogue.LATE_FAILURES) == late
    for family, name in (
        (catalogue.RESPONSE_SECONDS, "response"),
        (catalogue.WAIT_SECONDS, "wait"),
        (catalogue.HUMAN_FIRST_RESPONSE, "human"),
    ):
        assert math.isclose(total(cells, family, index=SUM), reader.sums[name], abs_tol=1e-4), name
