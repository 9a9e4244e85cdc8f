"""One person of a plain reading of conversations/README.md: the rule of order, turns and handovers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.helpers.person_counts import PersonCounts
from tests.helpers.person_facts import DAY, Fact, Tie, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator

RICHNESS = ["", "status", "echo", "code", "api"]
ORDER = ["message", "revoke", "expose", "step", "end", "fallback", "handover", "dismiss", "resolve", "reply", "status",
         "choice", "refused", "failure"]  # fmt: skip


class PersonReader(PersonCounts):
    """Decides the counts of one person."""

    def tell(self, fact: Fact, *, copy: bool = False) -> None:
        """Take something in. Of a copy whose first one still waits nothing new is learnt."""
        if not copy:
            self.waiting.append(fact)

    def is_forgotten(self, now: float) -> bool:
        """Return whether a silent person without open turns and runs is forgotten. The page leaves an hour's room."""
        silent = now - self.last_heard
        if silent < 8 * DAY or self.waiting or self.runs or self.handovers or self.exposed:
            return False
        if any(not turn.outcome for turn in self.turns):
            return False
        if silent < 8 * DAY + 4000:
            raise Tie
        return True

    def merge(self, other: PersonReader) -> None:
        """Become one with another person: everything open stays open."""
        if other.last_message > self.last_message:
            self.resolved = other.resolved
        for name in ("last_heard", "last_message", "last_reply", "resolved_at", "known_by"):
            setattr(self, name, max(getattr(self, name), getattr(other, name)))
        self.turns = sorted([*self.turns, *other.turns], key=lambda turn: turn.start)
        self.handovers = sorted([*self.handovers, *other.handovers])
        self.waiting += other.waiting
        self.templates += other.templates
        self.choices |= other.choices
        for category, second in other.chosen.items():
            self.chosen[category] = max(second, self.chosen.get(category, second))
        for name, (goal, outcomes) in other.exposed.items():
            self.exposed.setdefault(name, (goal, set()))[1].update(outcomes)
        self.runs = sorted([*self.runs, *other.runs], key=lambda run: run.active)
        for run in self.runs.copy():
            if any(later.journey == run.journey for later in self.runs[self.runs.index(run) + 1 :]):
                self._end_run(run, "restarted", run.active)

    # The one rule of order

    def decide(self, by: float) -> None:
        """Decide everything that is due by then."""
        while True:
            dues = [(fact.received + self.rules.window, fact) for fact in self.waiting]
            points = [(due, fact.at) for due, fact in dues if not self._is_outdone(fact, due)]
            timer = self._next_timer()
            if timer < math.inf:
                points.append((timer + self.rules.window, timer))
            due, point = min(points, default=(math.inf, 0.0))
            if due > by:
                return
            self.known_by = max(self.known_by, due)
            self._decide_up_to(point)

    def _decide_up_to(self, point: float) -> None:
        while True:
            ready = [fact for fact in self.waiting if fact.at <= point and fact.received <= self.known_by]
            ready = [fact for fact in ready if not self._is_outdone(fact, self.known_by)]
            first = min(ready, key=lambda fact: (fact.at, ORDER.index(fact.what)), default=None)
            timer = self._next_timer()
            if first is not None:
                for other in ready:
                    if other is not first and other.at == first.at and other.name != first.name:
                        raise Tie
                if timer == first.at:
                    raise Tie
            if timer <= point and (first is None or timer < first.at):
                self._strike(timer)
            elif first is not None:
                self._happen(self._richest(first))
            else:
                return

    def _is_outdone(self, fact: Fact, by: float) -> bool:
        """Return whether richer evidence of the same reply is known by then. Its own moment counts."""
        if fact.what != "reply":
            return False
        same = [f for f in self.waiting if (f.what, f.name) == ("reply", fact.name) and f.received <= by]
        return any(RICHNESS.index(f.evidence) > RICHNESS.index(fact.evidence) for f in same)

    def _richest(self, fact: Fact) -> Fact:
        """Take out the facts about one reply. The richest evidence counts."""
        if fact.what != "reply":
            self.waiting.remove(fact)
            return fact
        same = [f for f in self.waiting if (f.what, f.name) == ("reply", fact.name) and f.received <= self.known_by]
        self.waiting = [f for f in self.waiting if f not in same]
        return max(same, key=lambda f: (RICHNESS.index(f.evidence), -f.received))

    def _next_timer(self) -> float:
        points = []
        for turn in self.turns:
            if not turn.outcome:
                points.append(turn.last + self.rules.unanswered)
                if not turn.closing:
                    points += [turn.start + after for after in self.rules.thresholds[turn.crossed :][:1]]
        for run in self.runs:
            stalled, abandoned, expires = self.rules.spans(run.journey)
            points += [run.active + abandoned, run.started + expires]
            points += [] if run.stalled else [run.active + stalled]
        return min(points, default=math.inf)

    def _strike(self, at: float) -> None:
        for turn in self.turns:
            thresholds = self.rules.thresholds
            while not turn.outcome and not turn.closing and turn.crossed < len(thresholds):
                if turn.start + thresholds[turn.crossed] > at:
                    break
                labels = {"turn": turn.label, "in_hours": turn.hours, "threshold": f"{thresholds[turn.crossed]:g}"}
                self.count("turns_overdue_total", **labels)
                turn.crossed += 1
            if not turn.outcome and turn.last + self.rules.unanswered <= at:
                self._give_up(turn, turn.last + self.rules.unanswered)
        for run in self.runs.copy():
            stalled, abandoned, expires = self.rules.spans(run.journey)
            if run.started + expires <= at:
                self._end_run(run, "expired", run.active)
            elif run.active + abandoned <= at:
                waits = any(not turn.outcome and not turn.closing for turn in self.turns)
                latest = self.turns[-1] if self.turns else None
                silent = latest is not None and latest.outcome in {"unanswered", "failed"}
                business = waits or (silent and latest is not None and latest.ended > run.started)
                self._end_run(run, f"abandoned_by_{'business' if business else 'user'}", run.active)
            elif run.active + stalled <= at:
                run.stalled = True

    def _happen(self, fact: Fact) -> None:
        getattr(self, f"_{fact.what}" if fact.what != "end" else "_end_by_code")(fact)

    # Turns

    def _message(self, fact: Fact) -> None:
        self.observe("webhook_lag_seconds", fact.received - fact.at)
        for run in self.runs:
            if fact.at > run.active:
                run.active, run.stalled = fact.at, False
        before, self.last_message = self.last_message, max(self.last_message, fact.at)
        if fact.at <= self.last_reply:
            return
        fact.closing = fact.closing and not self.runs and fact.at - self.last_reply < DAY
        for run in self.runs:
            if fact.at >= run.entered:
                self.count("journey_step_messages_total", journey=run.journey, step=run.step)
        begins = fact.at - before >= DAY
        if self.resolved:
            begins = fact.at > self.resolved_at and (begins or not fact.closing)
        self._join_or_open(fact, before, begins=begins)

    def _join_or_open(self, fact: Fact, before: float, *, begins: bool) -> None:
        turn = next((turn for turn in reversed(self.turns) if not turn.outcome), None)
        origin = ""
        if begins:
            origin = "returning" if fact.at - before < 8 * DAY else "new"
            self.resolved, self.handovers = False, []
            if turn is not None and not (turn.closing and fact.at - turn.last < DAY):
                self._give_up(turn, min(fact.at, turn.last + self.rules.unanswered))
                turn = None
            if not fact.closing:
                self.count("conversations_started_total", origin=origin)
        label = "first" if begins else "next"
        if turn is None:
            self._open([fact], label, origin if fact.closing else "")
            return
        self._join(turn, fact, label)

    def _join(self, turn: Turn, fact: Fact, label: str) -> None:
        earliest = min((message.at for message in turn.messages), default=turn.start)
        turn.messages.append(fact)
        turn.last = max(turn.last, fact.at)
        if turn.closing and not fact.closing:
            if turn.origin:
                self.count("conversations_started_total", origin=turn.origin)
            turn.closing, turn.start, turn.second, turn.inherited = False, fact.at, fact.second, False
            turn.label = "first" if turn.origin else label
            turn.hours = self.rules.in_hours(fact.at)
            self.count("turns_opened_total", turn=turn.label, in_hours=turn.hours)
        elif (
            fact.at < turn.start
            and (turn.closing or not fact.closing)
            and earliest - fact.at < DAY
            and not fact.at <= self.resolved_at < turn.start
        ):
            turn.start, turn.second = fact.at, fact.second

    def _open(self, messages: list[Fact], label: str, origin: str = "") -> Turn:
        ordinary = [message for message in messages if not message.closing]
        first = min(ordinary or messages, key=lambda message: message.at)
        last = max(message.at for message in messages)
        hours = self.rules.in_hours(first.at)
        turn = Turn(messages, first.at, first.second, label, hours, not ordinary, last, origin)
        self.turns.append(turn)
        if ordinary:
            self.count("turns_opened_total", turn=label, in_hours=hours)
        return turn

    def _end(self, turn: Turn, outcome: str, at: float) -> None:
        if turn.closing:
            self.count("turns_opened_total", turn=turn.label, in_hours=turn.hours)
            if turn.origin:
                self.count("conversations_started_total", origin=turn.origin)
        turn.outcome, turn.ended = outcome, at
        self.count("turns_total", turn=turn.label, outcome=outcome, in_hours=turn.hours)

    def _wait(self, turn: Turn, seconds: float, *, endless: bool = False) -> None:
        observe = self.observe_endless if endless else self.observe
        observe("wait_seconds", seconds, turn=turn.label, in_hours=turn.hours)
        for name in self.exposed:
            observe("experiment_wait_seconds", seconds, experiment=name)

    def _give_up(self, turn: Turn, at: float) -> None:
        if turn.closing:
            self._end(turn, "dismissed", at)
            return
        failed = turn.inherited or any(when >= turn.start for when in turn.failures)
        self._end(turn, "failed" if failed else "unanswered", at)
        self._wait(turn, at - turn.start, endless=True)
        self._outcome("unanswered")

    def _close(self, fact: Fact, outcome: str) -> bool:
        """End the turns that had started by then. Later messages go on waiting."""
        closed = False
        for turn in self.turns.copy():
            if turn.outcome or turn.start > fact.at:
                continue
            closed = True
            self._end(turn, outcome, fact.at)
            if outcome == "answered":
                seconds = fact.at - turn.start
                if fact.evidence in {"status", "echo"}:
                    seconds = float(fact.second - turn.second)
                    if seconds < 0:
                        self._count("clock_skews_total")
                        seconds = 0.0
                labels = {"turn": turn.label, "in_hours": turn.hours, "actor": fact.actor, "evidence": fact.evidence}
                self.observe("response_seconds", seconds, **labels)
                self._wait(turn, seconds)
            elif not turn.closing:
                self._wait(turn, fact.at - turn.start)
            left = [message for message in turn.messages if message.at > fact.at]
            if left:
                rest = self._open(left, "next")
                rest.failures = turn.failures
                rest.inherited = turn.inherited or any(when >= turn.start for when in turn.failures)
        return closed

    def _reply(self, fact: Fact) -> None:
        record = self.outbound[fact.name]
        if record.decided or not record.is_reply(self.known_by):
            return
        record.decided = True
        if any(received <= self.known_by for received in record.failures):
            self._attempt(fact.at)
            return
        record.answered = self._close(fact, "answered")
        self.last_reply = max(self.last_reply, fact.at)
        if fact.actor == "human":
            for since, hours in self.handovers:
                if since <= fact.at:
                    self.observe("human_first_response_seconds", fact.at - since, in_hours=hours)
            self.handovers = [(since, hours) for since, hours in self.handovers if since > fact.at]

    def _attempt(self, at: float) -> None:
        for turn in self.turns:
            if not turn.outcome and turn.start <= at:
                turn.failures.append(at)

    def _failure(self, fact: Fact) -> None:
        record = self.outbound[fact.name]
        if record.is_reply(self.known_by) and not record.decided:
            self._attempt(fact.at)

    def _refused(self, fact: Fact) -> None:
        self._outcome("send_failed")
        if fact.name == "reply":
            self._attempt(fact.at)

    def _dismiss(self, fact: Fact) -> None:
        self._close(fact, "dismissed")

    def _resolve(self, fact: Fact) -> None:
        self._close(fact, "dismissed")
        self.resolved_at = max(self.resolved_at, fact.at)
        self.resolved = self.resolved or self.last_message <= fact.at

    def _revoke(self, fact: Fact) -> None:
        for turn in self.turns:
            left = [message for message in turn.messages if message.name != fact.name]
            if not turn.outcome and len(left) < len(turn.messages):
                turn.messages = left
                if not left:
                    self._end(turn, "dismissed", fact.at)
                    if not turn.closing:
                        self._wait(turn, max(0.0, fact.at - turn.start))
                return

    def _fallback(self, _: Fact) -> None:
        if not self.turns:
            self._count("events_dropped_total", reason="no_turn")
        elif not self.turns[-1].fallback:
            self.turns[-1].fallback = True
            self.count("fallbacks_total")
            for run in self.runs:
                self.count("journey_step_fallbacks_total", journey=run.journey, step=run.step)

    def _handover(self, fact: Fact) -> None:
        for run in self.runs.copy():
            self._end_run(run, "handed_over", max(fact.at, run.entered))
        if not self.handovers:  # while a person is awaited, another call changes no count
            self.handovers = [(fact.at, self.rules.in_hours(fact.at))]
            self.count("handovers_total")
            self._outcome("handover")

    def show_gauges(self) -> None:
        """Add the open turns and runs at the end."""
        for turn in self.turns:
            if not turn.outcome and not turn.closing:
                self.count("turns_open", turn=turn.label, in_hours=turn.hours)
        for _, hours in self.handovers:
            self.count("handovers_open", in_hours=hours)
        for run in self.runs:
            self.count("journey_runs_open", journey=run.journey, step=run.step)
            self.count("journey_runs_stalled", float(run.stalled), journey=run.journey, step=run.step)

    def oldest(self) -> Iterator[tuple[str, float, dict[str, str]]]:
        """Give name, moment and labels of all that may be the oldest that waits."""
        for turn in self.turns:
            if not turn.outcome and not turn.closing:
                labels = {"turn": turn.label, "in_hours": turn.hours}
                yield "oldest_open_turn_timestamp_seconds", turn.start, labels
        for since, hours in self.handovers:
            yield "oldest_open_handover_timestamp_seconds", since, {"in_hours": hours}
