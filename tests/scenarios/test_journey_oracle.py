"""One journey of one contact against a plain reading of conversations/README.md 6, in the order of events."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from chatvitals.events import Call, Message, PersonEvent, RunEnd, Send, Step
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock
from tests.helpers.examples import examples
from tests.helpers.journey_scenarios import by
from tests.scenarios.test_order_independence import EPOCH, WINDOW

DAY = 86_400.0
STEPS = ["menu", "item", "address", "paid"]
SPANS = [(1800.0, DAY, 7 * DAY), (60.0, 300.0, 900.0), (5.0, 40_000.0, 100_000.0), (700.0, 700.5, 701.0)]


@dataclass
class Run:
    """An open run of the reading."""

    step: str
    started: float
    entered: float
    active: float
    stalled: bool = False
    entries: Counter[str] = field(default_factory=Counter)


@dataclass
class Reading:
    """What the page says, with nothing of windows, evidence and stores."""

    spans: tuple[float, float, float]
    run: Run | None = None
    waiting_since: float | None = None  # the last message of the open turn
    silent_since: float = -math.inf  # when the latest turn ended unanswered
    may_fall_back: bool = False  # the latest turn is not marked as not understood
    counts: dict[str, Counter[Any]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    def advance(self, to: float) -> None:
        """Let the clock run on: the turn's deadline, and the run's stalling, abandonment and expiry."""
        stalled, abandoned, expires = self.spans
        while True:
            timers = [] if self.waiting_since is None else [(self.waiting_since + DAY, "deadline")]
            if self.run is not None:
                timers += [(self.run.started + expires, "expired"), (self.run.active + abandoned, "abandoned")]
                timers += [] if self.run.stalled else [(self.run.active + stalled, "stalled")]
            when, what = min(timers, default=(math.inf, ""))
            if when > to:
                return
            if what == "deadline":
                self.waiting_since, self.silent_since = None, when
            elif what == "stalled" and self.run is not None:
                self.run.stalled = True
            elif what == "expired" and self.run is not None:
                self.end("expired", self.run.active)
            elif self.run is not None:
                business = self.waiting_since is not None or self.silent_since > self.run.started
                self.end("abandoned_by_business" if business else "abandoned_by_user", self.run.active)

    def happen(self, at: float, what: str, which: str) -> None:
        """Take one thing in, at its time."""
        self.advance(at)
        match what:
            case "message":
                self.may_fall_back = self.may_fall_back or self.waiting_since is None
                self.waiting_since = at
                if self.run is not None:
                    self.counts["messages"][self.run.step] += 1
                    self.run.active, self.run.stalled = at, False
            case "step":
                self.enter(at, which)
            case "end":
                self.end(which, at)
            case "handover":
                self.end("handed_over", at)
            case "fallback":
                if self.may_fall_back and self.run is not None:
                    self.counts["fallbacks"][self.run.step] += 1
                self.may_fall_back = False
            case _:  # a reply, dismiss() and resolve() all end the turn, and then nobody is kept waiting
                if self.waiting_since is not None:
                    self.waiting_since, self.silent_since = None, -math.inf

    def enter(self, at: float, step: str) -> None:
        """Reach a step."""
        self.counts["transitions"]["start" if self.run is None else self.run.step, step] += 1
        if self.run is None:
            self.counts["started"]["order"] += 1
            self.run = Run(step, at, at, at)
        else:
            self.leave("advanced", at)
            self.run.step, self.run.entered, self.run.active, self.run.stalled = step, at, at, False
        self.run.entries[step] += 1
        self.counts["visits"][step] += 1
        self.counts["reached"][step] += self.run.entries[step] == 1
        self.counts["loops"][step] += self.run.entries[step] == 3
        if step == "paid":
            self.end("completed", at)

    def leave(self, end: str, at: float) -> None:
        """Note the time in the step that is left."""
        assert self.run is not None
        self.counts["left"][self.run.step, end] += 1
        self.seconds[self.run.step, end] += at - self.run.entered

    def end(self, outcome: str, at: float) -> None:
        """End the run, if there is one."""
        if self.run is not None:
            self.leave("abandoned" if outcome.startswith("abandoned") else outcome, at)
            self.counts["ended"].update(self.run.entries.keys())
            self.counts["outcomes"][outcome] += 1
            if outcome.startswith("abandoned"):
                self.counts["dropped"][self.run.step, outcome] += 1
            self.run = None


COUNTED: dict[str, tuple[catalogue.Family, tuple[int, ...]]] = {
    "started": (catalogue.JOURNEY_RUNS_STARTED, (1,)),
    "outcomes": (catalogue.JOURNEY_RUNS, (2,)),
    "reached": (catalogue.JOURNEY_STEP_REACHED, (2,)),
    "visits": (catalogue.JOURNEY_STEP_VISITS, (2,)),
    "loops": (catalogue.JOURNEY_STEP_LOOPS, (2,)),
    "ended": (catalogue.JOURNEY_STEP_ENDED, (2,)),
    "dropped": (catalogue.JOURNEY_STEP_DROPPED, (2, 3)),
    "transitions": (catalogue.JOURNEY_TRANSITIONS, (2, 3)),
    "messages": (catalogue.JOURNEY_STEP_MESSAGES, (2,)),
    "fallbacks": (catalogue.JOURNEY_STEP_FALLBACKS, (2,)),
    "left": (catalogue.JOURNEY_STEP_SECONDS, (2, 3)),
}
Happened = tuple[float, float, str, str]
"""(received, at, what, which)"""

GAPS = st.sampled_from([0.05, 1.7, 4.3, 14.2, 61.3, 305.1, 701.9, 1805.3, 7000.9, 40_000.3, 87_000.7])
PROBES = st.sampled_from([0.0, 0.0, 11.303, 25.707, 70.901, 400.113, 750.211, 1850.213, 90_000.417])
WHAT = ["message", "message", "message", "step", "step", "step", "step", "reply", "reply", "end", "handover", "dismiss",
        "resolve", "fallback"]  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[Happened]:
    """Draw what happens, and at what times somebody looks."""
    now = 0.2
    out: list[Happened] = []
    for _ in range(draw(st.integers(1, 14))):
        now = round(now + draw(GAPS), 3)
        what, which, at = draw(st.sampled_from(WHAT)), "", now
        if what == "message":
            at = min(now, math.floor(now - draw(st.sampled_from([0.0, 0.0, 3.1, 6.1]))) + 1.0)
        elif what in {"step", "end"}:
            which = draw(st.sampled_from(STEPS if what == "step" else ["completed", "handed_over", "restarted"]))
        out.append((now, at, what, which))
        probe = draw(PROBES)
        if probe:
            now = round(now + probe, 3)
            out.append((now, now - WINDOW, "look", ""))
    now += 7.5 * DAY
    return [*out, (now, now - WINDOW, "look", "")]


def event(happened: Happened, spans: tuple[float, float, float]) -> PersonEvent:
    """Return the event that says so."""
    received, at, what, which = happened
    who: dict[str, Any] = {"phone_number_id": "990005556667778", "wa_id": "15550004321", "received": EPOCH + received}
    stalled, abandoned, expires = spans
    match what:
        case "message":
            second = EPOCH + (math.floor(at) if at == received else int(at) - 1)
            return Message(**who, id=f"wamid.{received}", type="text", timestamp=second)
        case "step":
            return Step(**who, journey="order", step=which, completes=which == "paid", stalled_after=stalled,
                        abandoned_after=abandoned, expires_after=expires)  # fmt: skip
        case "end":
            return RunEnd(**who, journey="order", outcome=which)  # type: ignore[arg-type]
        case "reply":
            return Send(**who, id=f"wamid.{received}", kind="reply", accepted=True)
        case _:
            return Call(**who, name=what)  # type: ignore[arg-type]


@examples(400)
@given(histories(), st.sampled_from(SPANS))
def test_journeys_are_as_the_page_says_whenever_somebody_looks(
    history: list[Happened], spans: tuple[float, float, float]
) -> None:
    """Every family of section 6, at every look, one window behind: counts exactly, seconds within rounding."""
    for one, other in itertools.combinations([at for _, at, _, _ in history], 2):
        for tie in (0.0, DAY, *spans):  # two things at one moment: the page has no opinion
            assume(abs(abs(one - other) - tie) > 1e-6)
    store, clock, reading = open_store("memory:"), FakeClock(EPOCH), Reading(spans)
    chosen = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef"}, environ={})
    pipeline = Pipeline(chosen, store, ErrorGuard(), clock, background=False)
    in_order = sorted(history, key=lambda happened: happened[1])
    for happened in history:
        clock.now = EPOCH + happened[0]
        if happened[2] != "look":
            pipeline.put(event(happened, spans))
            assert pipeline.drain()
            continue
        assert pipeline.sweep()
        while (following := in_order.pop(0)) != happened:
            reading.happen(*following[1:])
        reading.advance(happened[1])
        check(store.cells(), reading)


def check(cells: Any, reading: Reading) -> None:
    """Hold all that is shown against the reading."""
    for name, (family, labels) in COUNTED.items():
        assert by(cells, family, *labels) == +reading.counts[name], name
    run = reading.run
    assert by(cells, catalogue.JOURNEY_RUNS_OPEN, 2) == ({run.step: 1} if run else {})
    assert by(cells, catalogue.JOURNEY_RUNS_STALLED, 2) == ({run.step: 1} if run and run.stalled else {})
    spent = {labels[2:]: value for (name, labels, index), value in cells.items()
             if name == catalogue.JOURNEY_STEP_SECONDS.name and index == SUM}  # fmt: skip
    for key in spent.keys() | reading.seconds.keys():
        assert math.isclose(spent.get(key, 0.0), reading.seconds.get(key, 0.0), abs_tol=1e-4), key
