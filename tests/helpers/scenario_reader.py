"""A plain reading of conversations/README.md for scenarios of several people: it gives the samples that they end with.

It was written from the page. It keeps whole lists where the code keeps bits, and decides everything in one walk.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from chatvitals.testing.fixtures import person, place
from chatvitals.testing.payloads import EPOCH
from tests.helpers.person_facts import DAY, Fact, Outbound, Rules
from tests.helpers.person_reader import PersonReader

WEEK = 7 * DAY
CODES = {"handover", "fallback", "dismiss", "resolve"}
ADDS_NOTHING = {"reaction", "system", "edit", "revoke"}


def one_spelling(phone: str) -> str:
    """Return a mobile number of Brazil, Mexico or Argentina in its longer spelling."""
    if phone.startswith("55") and len(phone) == 12:
        return f"{phone[:4]}9{phone[4:]}"
    if phone.startswith("52") and len(phone) == 12:
        return f"521{phone[2:]}"
    if phone.startswith("54") and len(phone) == 12:
        return f"549{phone[2:]}"
    return phone


@dataclass
class Reading:
    """All samples of a scenario, by name and labels."""

    scenario: dict[str, Any]
    counts: Counter[tuple[str, frozenset[tuple[str, str]]]] = field(default_factory=Counter)
    people: dict[tuple[str, str], PersonReader] = field(default_factory=dict)  # by number and id
    handled: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)
    oldest: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)
    seen: set[Any] = field(default_factory=set)
    outbound: defaultdict[str, Outbound] = field(default_factory=lambda: defaultdict(Outbound))

    def read(self) -> Counter[tuple[str, frozenset[tuple[str, str]]]]:
        """Return the counters, sums and gauges at the end."""
        self.rules = Rules(self.scenario.get("settings", {}), self.scenario.get("journeys", []))
        for step in sorted(self.scenario["steps"], key=lambda step: step["t"]):
            self._decide(step["t"])
            if "restart" in step:
                self.handled.clear()
                continue
            for item in step.get("batch", [step]):
                self._receive({**item, "t": step["t"], "worker": step.get("worker", 1)})
        self._decide(self.scenario["until"])
        for who in {id(who): who for who in self.people.values()}.values():
            who.show_gauges()
            for name, moment, labels in who.oldest():
                known = {"phone_number_id": who.number, **labels}
                key = name, frozenset((label, value) for label, value in known.items() if value)
                self.oldest[key] = min(self.oldest.get(key, math.inf), EPOCH + moment)
        self.counts.update(self.oldest)
        return Counter({key: value for key, value in self.counts.items() if value})

    def count(self, name: str, value: float = 1, /, **labels: str) -> None:
        """Add to a sample. An absent label and an empty one are the same."""
        self.counts[name, frozenset((key, label) for key, label in labels.items() if label)] += value  # type: ignore[assignment]

    def _decide(self, by: float) -> None:
        for who in {id(who): who for who in self.people.values()}.values():
            who.decide(by)
        self.people = {key: who for key, who in self.people.items() if not who.is_forgotten(by)}

    def _who(self, *steps: dict[str, Any]) -> PersonReader:
        """Return the person of each id in these steps. People with a common id become one person."""
        keys = []
        for step in steps:
            number, ids = step.get("number", "N1"), step.get("ids", "both")
            known = person(step["contact"])
            keys += [(number, known.user)] if ids != "phone" else []
            keys += [(number, one_spelling(step.get("phone", known.phone)))] if ids != "bsuid" else []
        found: list[PersonReader] = []
        for key in keys:
            if key in self.people and self.people[key] not in found:
                found.append(self.people[key])
        number = keys[0][0]
        one = found[0] if found else PersonReader(place(number).phone_number_id, self.rules, self.outbound, self.count)
        for other in found[1:]:
            one.merge(other)
            self.people = {key: one if who is other else who for key, who in self.people.items()}
        self.people.update(dict.fromkeys(keys, one))
        one.last_heard = max(one.last_heard, *(step["t"] for step in steps if "t" in step))
        return one

    def _receive(self, step: dict[str, Any]) -> None:
        if "bad" in step:
            self.count("events_dropped_total", reason="malformed")
        elif "in" in step:
            self._message(step)
        elif "status" in step:
            self._status(step)
        elif "echo" in step:
            self._echo(step)
        elif "preference" in step:
            self._preference(step)
        elif "send" in step:
            self._send(step)
        else:
            self._code(step)

    def _time(self, step: dict[str, Any]) -> tuple[float, int] | None:
        """Return `at` and WhatsApp's second. None where the item is stale."""
        received, second = step["t"], step.get("ts", math.floor(step["t"]))
        if received - second > WEEK:
            self.count("events_dropped_total", reason="stale")
            return None
        if second > received + 5:
            return received, math.floor(received)
        return min(received, second + 1.0), second

    def _skewed(self, step: dict[str, Any]) -> None:
        if step.get("ts", 0) > step["t"] + 5:
            self.count("clock_skews_total")

    def _again(self, kind: str, *key: object) -> bool:
        if (kind, *key) in self.seen:
            self.count("duplicates_total", kind=kind)
            return True
        self.seen.add((kind, *key))
        return False

    def _name(self, step: dict[str, Any], key: str = "id") -> str:
        return f"{step.get('number', 'N1')} {step['contact']} {step[key]}"

    def _message(self, step: dict[str, Any]) -> None:
        kind = step["in"]
        steps = [step]
        if kind == "system":
            ids = "phone" if step["change"] == "number" else "bsuid"
            steps = [{**step, "ids": ids}, {**step, "ids": ids, "contact": step["to"]}]
        who = self._who(*steps)
        if kind != "system":
            self.handled[step["worker"], step["contact"]] = step
        moment = self._time(step)
        if moment is None:
            return
        name = self._name(step)
        copy = self._again("message", name)
        if not copy:
            self._skewed(step)
            self.count("messages_received_total", type=kind, phone_number_id=who.number)
        at, second = moment
        if kind == "revoke":
            who.tell(Fact(step["t"], at, "revoke", self._name(step, "of")), copy=copy)
        elif not step.get("group") and kind not in ADDS_NOTHING:
            closing = kind == "text" and step.get("text") in {"ok thanks", "\U0001f44d", "", "Thanks!!"}
            who.tell(Fact(step["t"], at, "message", name, second, closing=closing), copy=copy)

    def _status(self, step: dict[str, Any]) -> None:
        who = self._who(step)
        moment = self._time(step)
        if moment is None:
            return
        name, status = self._name(step), step["status"]
        record = self.outbound[name]
        copy = self._again("status", name, status)
        if not copy:
            self._skewed(step)
        at, second = moment
        if step.get("category") and not copy:
            record.prices.append((step["t"], step["category"]))
        if status == "failed" and not copy:
            record.failures.append(step["t"])
            if record.answered:
                self.count("late_failures_total", phone_number_id=who.number)
            who.tell(Fact(step["t"], at, "failure", name))
        if status == "sent":
            who.tell(Fact(step["t"], at, "reply", name, second, evidence="status", actor="unknown"), copy=copy)
        if not copy:
            code = str(step.get("code", "")) or ("unknown" if status == "failed" else "")
            who.tell(Fact(step["t"], at, "status", name, second, status=status, code=code))

    def _echo(self, step: dict[str, Any]) -> None:
        who = self._who(step)
        moment = self._time(step)
        if moment is None:
            return
        name = self._name(step)
        copy = self._again("echo", name)
        if not copy:
            self._skewed(step)
        at, second = moment
        kind = "other" if step["echo"] == "reaction" else "reply"
        self.outbound[name].kinds.append((step["t"], "echo", kind))
        if kind == "reply":
            who.tell(Fact(step["t"], at, "reply", name, second, evidence="echo", actor="human"), copy=copy)

    def _preference(self, step: dict[str, Any]) -> None:
        who = self._who(step)
        category, second = step.get("category", "marketing_messages"), step.get("ts", math.floor(step["t"]))
        choice = (category, step["preference"], second)
        copy = choice in who.choices
        if copy:
            self.count("duplicates_total", kind="preference")
        who.choices.add(choice)
        at = min(step["t"], second + 1.0)
        if second > step["t"] + 5:
            at, second = step["t"], math.floor(step["t"])
        if not copy:
            self._skewed(step)
            who.tell(Fact(step["t"], at, "choice", category, second, status=step["preference"]))

    def _in_context(self, step: dict[str, Any]) -> dict[str, Any] | None:
        whose = step.get("in_context")
        return self.handled[step["worker"], step["contact"] if whose is True else whose] if whose else None

    def _send(self, step: dict[str, Any]) -> None:
        form, now, context = step["send"], step["t"], self._in_context(step)
        number = place(step.get("number", "N1")).phone_number_id
        if form in {"read", "typing"}:
            self.count("sends_total", kind="other", result="accepted", phone_number_id=number)
            return
        if "rejected" in step and step.get("ids", "both") == "both":
            step = {**step, "ids": "phone"}  # only the answer shows the other id
        who = self._who(step)
        own = context is not None and self._who({**context, "t": now}) is who
        if form == "reaction":
            kind = "other"
        elif "tag" in step:
            kind = step["tag"]
        elif form == "marketing" or (form == "template" and not own):
            kind = "campaign"
        else:
            kind = "reply"
        if "rejected" in step:
            code = str(step["rejected"])
            self.count("sends_total", kind=kind, result="rejected", code=code, phone_number_id=who.number)
            if kind != "other":
                who.tell(Fact(now, now, "refused", kind))
            return
        self.count("sends_total", kind=kind, result="accepted", phone_number_id=who.number)
        name = self._name(step)
        record = self.outbound[name]
        record.kinds.append((now, "api", kind))
        if form in {"template", "marketing"}:
            record.template = (now, step.get("template", "order_ready"), step.get("language", "en"))
            who.templates.append(record.template)
        if kind == "reply":
            actor = step.get("actor", "bot")
            who.tell(Fact(now, now, "reply", name, math.floor(now), evidence="api", actor=actor))

    def _code(self, step: dict[str, Any]) -> None:
        now, context = step["t"], self._in_context(step)
        who = (
            self._who({**context, "t": now})
            if context is not None
            else self._who({**step, "ids": step.get("ids", "phone")})
        )
        if "expose" in step:
            goal = next(e.get("goal") or "" for e in self.scenario["experiments"] if e["name"] == step["expose"])
            who.tell(Fact(now, now, "expose", step["expose"], code=goal))
        elif "step" in step:
            who.tell(Fact(now, now, "step", step["step"], code=step["journey"]))
        elif "end" in step:
            who.tell(Fact(now, now, "end", step["end"], code=step["journey"]))
        elif step["call"] in CODES:
            who.tell(Fact(now, now, step["call"]))
        else:
            name = self._name(step)
            self.outbound[name].kinds.append((now, "code", "reply"))
            actor = step.get("actor", "bot")
            who.tell(Fact(now, now, "reply", name, math.floor(now), evidence="code", actor=actor))
