"""The pipeline against a plain reading of conversations/README.md 4: one pass in the order of events."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chatvitals.events import Call, Message, Send, Status
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.stores import open_store
from tests.scenarios.test_order_independence import EPOCH, LATER, LONGEST, WINDOW, Delivery, World

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Cell

PHONE = "15550004321"
DAY = 86_400.0
THRESHOLDS = (10.0, 60.0, 300.0, 3600.0)


@dataclass
class Totals:
    """What the oracle counts."""

    opened: int = 0
    answered: int = 0
    dismissed: int = 0
    failed: int = 0
    unanswered: int = 0
    conversations: int = 0
    overdue: int = 0
    late_failures: int = 0
    response: float = 0.0
    wait: float = 0.0


@dataclass
class Turn:
    """An open turn of the oracle."""

    start: float
    last: float
    failed: bool = False


def oracle(happened: list[tuple[float, str, bool]]) -> Totals:  # noqa: C901 - the rules of a turn, read top to bottom
    """Go once through (when, what, whether it failed in time), in order, with the clock in between."""
    totals = Totals()
    turn: Turn | None = None
    last = -math.inf
    over = False

    def overdue_until(open_turn: Turn, age: float) -> None:
        totals.overdue += sum(1 for threshold in THRESHOLDS if threshold <= age)

    for at, what, failed in [*sorted(happened), (LATER, "end", False)]:
        if turn is not None and turn.last + DAY <= at:
            end = turn.last + DAY
            overdue_until(turn, end - turn.start)
            totals.wait += end - turn.start
            totals.failed += turn.failed
            totals.unanswered += not turn.failed
            turn = None
        if what == "message":
            if over or at - last >= DAY:
                totals.conversations += 1
            over, last = False, at
            if turn is None:
                totals.opened += 1
                turn = Turn(at, at)
            turn.last = at
        elif what == "reply" and failed:
            if turn is not None:
                turn.failed = True
        elif what in {"reply", "dismiss", "resolve"}:
            over = over or what == "resolve"
            if turn is not None:
                overdue_until(turn, at - turn.start)
                totals.answered += what == "reply"
                totals.dismissed += what != "reply"
                totals.response += at - turn.start if what == "reply" else 0.0
                totals.wait += at - turn.start
                turn = None
    return totals


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Delivery], list[tuple[float, str, bool]], int]:
    """Draw deliveries, what happened in the oracle's terms, and how many failures come late."""
    now = 0.2
    out: list[Delivery] = []
    happened: list[tuple[float, str, bool]] = []
    late = 0
    for index in range(draw(st.integers(1, 12))):
        now = round(now + draw(st.sampled_from([1.7, 4.3, 8.3, 14.2, 61.3, 305.1, 3700.9, 40_000.3, 87_000.7])), 3)
        if now > LONGEST:
            break
        who = {"phone_number_id": "990005556667778", "wa_id": PHONE, "received": EPOCH + now}
        name = f"wamid.{index}"
        match draw(st.sampled_from(["message", "message", "reply", "failing", "dismiss", "resolve"])):
            case "message":
                delay = draw(st.sampled_from([0.0, 0.0, 3.1, 6.1]))
                second = math.floor(now - delay)
                out.append(Delivery(now, Message(**who, id=name, type="text", timestamp=EPOCH + second)))  # type: ignore[arg-type]
                happened.append((min(now, second + 1.0), "message", False))
            case "reply":
                out.append(Delivery(now, Send(**who, id=name, kind="reply", accepted=True)))  # type: ignore[arg-type]
                happened.append((now, "reply", False))
            case "failing":
                out.append(Delivery(now, Send(**who, id=name, kind="reply", accepted=True)))  # type: ignore[arg-type]
                after = draw(st.sampled_from([0.5, 5.05, WINDOW - 0.05, WINDOW + 0.05, 30.05]))
                in_time = after < WINDOW
                late += not in_time
                happened.append((now, "reply", in_time))
                then = round(now + after, 3)
                status = Status(
                    phone_number_id="990005556667778", wa_id=PHONE, received=EPOCH + then, id=name, status="failed",
                    timestamp=EPOCH + math.floor(then), code="131000",
                )  # fmt: skip
                out.append(Delivery(then, status))
            case call:
                out.append(Delivery(now, Call(**who, name=call)))  # type: ignore[arg-type]
                happened.append((now, call, False))
    return out, happened, late


def total(cells: dict[Cell, float], name: str, label: str = "", field: int = 0) -> float:
    """Return the sum over the cells of a family that have this label value."""
    return sum(v for (f, labels, i), v in cells.items() if f == name and i == field and (not label or label in labels))


@settings(max_examples=400, deadline=None)
@given(histories(), st.lists(st.floats(0.0, LONGEST), max_size=8))
def test_turns_are_as_if_everything_had_been_known_when_it_happened(
    history: tuple[list[Delivery], list[tuple[float, str, bool]], int], idle: list[float]
) -> None:
    """Whatever is known within the window counts as if it had been known at once."""
    deliveries, happened, late = history
    ats = [at for at, _, _ in happened]
    for one, other in itertools.combinations(ats, 2):
        for tie in (0.0, DAY, *THRESHOLDS):  # two things at one moment: the oracle has no opinion
            assume(abs(abs(one - other) - tie) > 1e-6)
    expected = oracle(happened)
    cells = World(open_store("memory:")).play(sorted(deliveries, key=lambda d: d.at), idle)
    assert total(cells, catalogue.TURNS_OPENED.name) == expected.opened
    for outcome in catalogue.OUTCOME:
        assert total(cells, catalogue.TURNS.name, outcome) == getattr(expected, outcome), outcome
    assert total(cells, catalogue.CONVERSATIONS_STARTED.name) == expected.conversations
    assert total(cells, catalogue.TURNS_OVERDUE.name) == expected.overdue
    assert total(cells, catalogue.LATE_FAILURES.name) == late
    assert math.isclose(total(cells, catalogue.RESPONSE_SECONDS.name, field=SUM), expected.response, abs_tol=1e-4)
    assert math.isclose(total(cells, catalogue.WAIT_SECONDS.name, field=SUM), expected.wait, abs_tol=1e-4)
