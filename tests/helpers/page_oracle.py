"""A plain reading of conversations/README.md 2 to 4 for one contact, written from the page and not from the code.

It keeps whole lists where the code keeps bits, and walks through everything once in the order of decisions.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

DAY = 86_400.0
WINDOW = 10.0
THRESHOLDS = (10.0, 60.0, 300.0, 3600.0)
TEMPLATE_PRICES = {"marketing", "marketing_lite", "utility", "authentication"}
RICHNESS = ["status", "echo", "code", "api"]
ORDER = ["message", "fallback", "handover", "dismiss", "resolve", "reply", "failure"]  # at one point in time


@dataclass
class Thing:
    """Something received about the contact."""

    received: float
    at: float
    what: str  # one of ORDER
    name: str = ""  # of the message that it is about
    second: int = 0
    closing: bool = False
    evidence: str = ""
    human: bool = False


@dataclass
class Outbound:
    """The facts about one outbound message, with their times."""

    kinds: list[tuple[float, str, str]] = field(default_factory=list)  # received, source, kind
    prices: list[tuple[float, str]] = field(default_factory=list)
    failures: list[float] = field(default_factory=list)
    answered: bool = False
    decided: bool = False
    decided_at: float = 0.0

    def is_reply(self, known_by: float) -> bool:
        """Follow the order of section 2: the call's word first, then the echo's or the code's, then the price."""
        known = [(source == "api", kind) for received, source, kind in self.kinds if received <= known_by]
        if known:
            return max(known, key=lambda entry: entry[0])[1] == "reply"
        prices = [price for received, price in sorted(self.prices) if received <= known_by]
        return not prices or prices[0] not in TEMPLATE_PRICES


@dataclass
class Burst:
    """An open turn: its messages and the decisions about it."""

    messages: list[Thing]
    start: float
    second: int
    label: str
    closing: bool
    begins: str = ""  # origin of the conversation that closing remarks begin
    crossed: int = 0
    failures: list[float] = field(default_factory=list)
    inherited: bool = False  # a failed attempt was made at the burst of which this is what was left

    @property
    def deadline(self) -> float:
        """When the burst ends without a reply."""
        return max(message.at for message in self.messages) + DAY


class Reader:
    """Reads a history and counts it by the rules of the page."""

    def __init__(self, things: list[Thing], outbound: dict[str, Outbound]) -> None:
        self.waiting = list(things)
        self.outbound = outbound
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.turn: Burst | None = None
        self.last_message = -math.inf
        self.last_reply = -math.inf
        self.resolved_at = -math.inf
        self.resolved = False
        self.awaited: float | None = None
        self.known_by = -math.inf

    def read(self, until: float) -> None:
        """Decide everything up to `until`, one window after it was received or struck."""
        while True:
            dues = [(thing.received + WINDOW, thing) for thing in self.waiting]
            points = [(due, thing.at) for due, thing in dues if not self._is_outdone(thing, due)]
            timer = self._next_timer()
            if timer < math.inf:
                points.append((timer + WINDOW, timer))
            due, point = min(points, default=(math.inf, 0.0))
            if due > until:
                return
            self.known_by = max(self.known_by, due)
            self._decide_up_to(point)

    def _decide_up_to(self, point: float) -> None:
        while True:
            ready = [t for t in self.waiting if t.at <= point and t.received <= self.known_by]
            ready = [t for t in ready if not self._is_outdone(t, self.known_by)]
            first = min(ready, key=lambda t: (t.at, ORDER.index(t.what)), default=None)
            timer = self._next_timer()
            if timer <= point and (first is None or timer < first.at):
                self._strike(timer)
            elif first is not None:
                self._happen(self._best_copy(first))
            else:
                return

    def _is_outdone(self, thing: Thing, by: float) -> bool:
        """Return whether richer evidence of the same reply is known by then. Its own moment counts."""
        if thing.what != "reply":
            return False
        same = [t for t in self.waiting if (t.what, t.name) == ("reply", thing.name) and t.received <= by]
        return any(RICHNESS.index(t.evidence) > RICHNESS.index(thing.evidence) for t in same)

    def _best_copy(self, thing: Thing) -> Thing:
        """Take all copies that are known out. The richest evidence counts, of equals the one received first."""
        if not thing.name or thing.what not in {"message", "reply"}:
            self.waiting.remove(thing)
            return thing
        same = [t for t in self.waiting if (t.what, t.name) == (thing.what, thing.name) and t.received <= self.known_by]
        self.waiting = [t for t in self.waiting if (t.what, t.name) != (thing.what, thing.name) or t not in same]
        return max(same, key=lambda t: (RICHNESS.index(t.evidence) if t.evidence else 0, -t.received))

    def _next_timer(self) -> float:
        turn = self.turn
        if turn is None:
            return math.inf
        crossings = [turn.start + after for after in THRESHOLDS[turn.crossed :]]
        return min([turn.deadline, *([] if turn.closing else crossings)])

    def _strike(self, at: float) -> None:
        turn = self.turn
        assert turn is not None
        while not turn.closing and turn.crossed < len(THRESHOLDS) and turn.start + THRESHOLDS[turn.crossed] <= at:
            self.counts["overdue", turn.label, f"{THRESHOLDS[turn.crossed]:g}"] += 1
            turn.crossed += 1
        if turn.deadline <= at:
            self._give_up(turn, turn.deadline)

    def _give_up(self, turn: Burst, at: float) -> None:
        self.turn = None
        if turn.closing:
            self._count_closing(turn)
            self.counts["ended", turn.label, "dismissed"] += 1
            return
        failed = turn.inherited or any(when >= turn.start for when in turn.failures)
        self.counts["ended", turn.label, "failed" if failed else "unanswered"] += 1
        self.sums["wait"] += at - turn.start

    def _count_closing(self, turn: Burst) -> None:
        self.counts["opened", turn.label] += 1
        self.counts["conversations", turn.begins] += bool(turn.begins)

    def _happen(self, thing: Thing) -> None:
        match thing.what:
            case "message":
                self._write(thing)
            case "reply":
                self._reply(thing)
            case "failure":
                record = self.outbound.get(thing.name)
                if record is None or (record.is_reply(self.known_by) and not record.decided):
                    self._attempt_failed(thing.at)
            case "handover":
                if self.awaited is None:
                    self.awaited = thing.at
                    self.counts["handovers",] += 1
            case _:
                self._end(thing, "dismissed")
                if thing.what == "resolve":
                    self.resolved_at = max(self.resolved_at, thing.at)
                    self.resolved = self.resolved or self.last_message <= thing.at

    def _write(self, thing: Thing) -> None:
        before, self.last_message = self.last_message, max(self.last_message, thing.at)
        if thing.at <= self.last_reply:
            return
        thing.closing = thing.closing and thing.at - self.last_reply < DAY
        if self.resolved and thing.at <= self.resolved_at:
            begins = False
        elif self.resolved and not thing.closing:
            begins = True
        else:
            begins = thing.at - before >= DAY
        origin = ""
        if begins:
            origin = "returning" if thing.at - before < 8 * DAY else "new"
            self.resolved = False
            self.awaited = None
            if self.turn is not None and not (self.turn.closing and thing.at - before < DAY):
                self._give_up(self.turn, min(thing.at, self.turn.deadline))
            self.counts["conversations", origin] += not thing.closing
        label = "first" if begins else "next"
        turn = self.turn
        if turn is None:
            self.turn = Burst([thing], thing.at, thing.second, label, thing.closing, origin if thing.closing else "")
            self.counts["opened", label] += not thing.closing
            return
        earliest = min(message.at for message in turn.messages)
        turn.messages.append(thing)
        if turn.closing and not thing.closing:
            self.counts["conversations", turn.begins] += bool(turn.begins)
            turn.closing, turn.start, turn.second, turn.inherited = False, thing.at, thing.second, False
            turn.label = "first" if turn.begins else label
            self.counts["opened", turn.label] += 1
        elif (
            thing.at < turn.start
            and (turn.closing or not thing.closing)
            and earliest - thing.at < DAY
            and not thing.at <= self.resolved_at < turn.start
        ):
            turn.start, turn.second = thing.at, thing.second

    def _reply(self, thing: Thing) -> None:
        record = self.outbound.get(thing.name)
        if record is not None:
            if record.decided or not record.is_reply(self.known_by):
                return
            record.decided, record.decided_at = True, self.known_by
            if any(received <= self.known_by for received in record.failures):
                self._attempt_failed(thing.at)
                return
            record.answered = self.turn is not None and self.turn.start <= thing.at
        self._end(thing, "answered")
        self.last_reply = max(self.last_reply, thing.at)
        if thing.human and self.awaited is not None and self.awaited <= thing.at:
            self.sums["human"] += thing.at - self.awaited
            self.counts["human",] += 1
            self.awaited = None

    def _attempt_failed(self, at: float) -> None:
        if self.turn is not None and self.turn.start <= at:
            self.turn.failures.append(at)

    def _end(self, thing: Thing, outcome: str) -> None:
        turn = self.turn
        if turn is None or turn.start > thing.at:
            return
        if turn.closing:
            self._count_closing(turn)
        self.counts["ended", turn.label, outcome] += 1
        if outcome == "answered":
            by_seconds = thing.evidence in {"status", "echo"}
            seconds = max(0.0, float(thing.second - turn.second)) if by_seconds else thing.at - turn.start
            self.sums["response"] += seconds
            self.sums["wait"] += seconds
        elif not turn.closing:
            self.sums["wait"] += thing.at - turn.start
        left = [message for message in turn.messages if message.at > thing.at]
        self.turn = None
        if left:
            ordinary = [message for message in left if not message.closing]
            first = min(ordinary or left, key=lambda message: message.at)
            self.turn = Burst(left, first.at, first.second, "next", not ordinary)
            self.turn.failures = turn.failures
            self.turn.inherited = turn.inherited or any(when >= turn.start for when in turn.failures)
            self.counts["opened", "next"] += bool(ordinary)
