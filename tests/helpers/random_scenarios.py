"""Random scenarios: people whose ids change, on several numbers, two workers, journeys, experiments, opening hours."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

DAY = 86_400.0
JOURNEYS: list[dict[str, Any]] = [
    {"name": "order", "steps": ["menu", "item", "paid"], "completed_by": "paid"},
    {"name": "quick", "steps": ["ask", "done"], "completed_by": "done", "stalled_after": 60, "abandoned_after": 300,
     "expires_after": 900},
    {"name": "slow", "steps": ["menu", "ask", "item"], "stalled_after": 7200, "abandoned_after": 172_800,
     "expires_after": 200_000},
]  # fmt: skip
EXPERIMENTS: list[dict[str, Any]] = [
    {"name": "greeting", "variants": {"plain": 1, "emoji": 1}, "goal": "order"},
    {"name": "tone", "variants": {"plain": 3, "emoji": 1, "none": 0}, "goal": "quick"},
    {"name": "length", "variants": {"short": 1, "long": 2}},
]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOURS: list[dict[str, Any] | None] = [
    None,
    None,
    {"timezone": "Europe/Rome", "days": {day: [["09:00", "18:00"]] for day in ("mon", "tue", "thu")}},
    {
        "timezone": "America/New_York",
        "days": {"mon": [["00:00", "03:30"], ["22:00", "24:00"]], "tue": [["00:00", "24:00"]]},
    },
    {"timezone": "Australia/Lord_Howe", "days": {day: [["01:00", "01:45"], ["09:00", "18:00"]] for day in DAYS}},
]
STARTS = [0.0, 0.0, 0.0, 9_525_600.0, 10_713_600.0, 11_368_800.0]
"""Seconds of the epoch. The last three are an hour before the clocks change in New York, Rome and Lord Howe."""
GAPS = st.sampled_from([0.713, 1.709, 2.903, 4.307, 8.303, 14.219, 61.311, 305.117, 1811.409, 3700.909, 20_000.713,
                        40_000.321, 87_000.723])  # fmt: skip
LATE = st.sampled_from([0, 0, 0, 0, 3, 6, 21, 73, 331, 3900, 44_000])
CONTACTS = ("A", "A", "A2", "B", "B2", "C", "D")
"""A2 and B2 are what A and B become after a change, and they may write before and after it."""
SPELLINGS = {"C": ["5511987654321", "551187654321"], "D": ["5215512345678", "525512345678"]}
KINDS = (
    ["in"] * 9 + ["send"] * 6 + ["status"] * 5 + ["failed"] * 2 + ["echo"] * 3 + ["call"] * 4 + ["step"] * 5
    + ["end", "expose", "preference", "revoke", "revoke", "template", "template", "system", "system", "batch", "copy"]
    + ["restart"]
)  # fmt: skip


class _Drawing:
    """The drawn steps so far."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.steps: list[dict[str, Any]] = []
        self.messages: dict[str, list[str]] = {}
        self.sent: dict[str, list[str]] = {}
        self.handled: set[tuple[int, str]] = set()
        self.told: set[tuple[str, str, str]] = set()
        self.ids = st.sampled_from(["both", "both", "both", "phone", "bsuid"])
        self.now: float = 0.213 + self.one(*STARTS)
        self.numbers: dict[str, str] = {}
        for contact in "ABCD":
            self.move(contact)

    def one(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def move(self, contact: str) -> None:
        """Draw the business number that a person, under both ids, writes to from now on."""
        number = self.one("N1", "N1", "N2", "N6")
        for one in (contact[0], f"{contact[0]}2"):
            self.numbers[one] = number
            self.handled = {(worker, other) for worker, other in self.handled if other != one}
            self.sent.pop(one, None)
            self.messages.pop(one, None)

    def who(self, contact: str, *, code: bool = False) -> dict[str, Any]:
        """Return the contact as a step shows it."""
        shown: dict[str, Any] = {"contact": contact, "number": self.numbers[contact]}
        ids = self.one("phone", "phone", "bsuid") if code else self.draw(self.ids)
        if ids != ("phone" if code else "both"):
            shown["ids"] = ids
        if contact in SPELLINGS and ids != "bsuid":
            shown["phone"] = self.one(*SPELLINGS[contact])
        return shown

    def second(self) -> int:
        late = self.draw(LATE)
        return max(0, math.floor(self.now) - late) if late < 50 or self.one(True, False) else math.floor(self.now)

    def item(self, kind: str, name: str, contact: str) -> dict[str, Any] | None:
        """Draw one item of a webhook."""
        who = self.who(contact)
        second = self.one(self.second(), self.second(), math.floor(self.now), math.floor(self.now) + 30)
        if kind == "in":
            return self.message(name, contact, {**who, "ts": second})
        if kind == "revoke":
            known = self.messages.get(contact, [])
            of = self.one(*known[-3:]) if known else "unknown"
            return {"in": self.one("revoke", "revoke", "edit"), **who, "id": name, "of": of, "ts": int(self.now)}
        if kind in {"status", "failed"}:
            return self.status(kind, name, contact, second)
        if kind == "echo":
            return {"echo": self.one("text", "text", "image", "reaction"), **who, "id": f"e{name}", "ts": second}
        item = {"preference": self.one("stop", "stop", "resume"), **who, "ts": second}
        return {**item, "category": "utility_messages"} if self.one(True, False, False) else item

    def message(self, name: str, contact: str, shown: dict[str, Any]) -> dict[str, Any]:
        """Draw an inbound message."""
        form = self.one(*["text"] * 8, "image", "interactive", "unsupported", "reaction", "location", "button")
        item = {"in": form, **shown, "id": name}
        if form == "text":
            item["text"] = self.one("hello", "hello", "ok thanks", "\U0001f44d", "Thanks!!", "ok thanks?")
            if self.one(*[False] * 12, True):
                return {**item, "group": True}
        if form == "reaction":
            item["of"] = "m0"
        self.messages.setdefault(contact, []).append(name)
        return item

    def status(self, kind: str, name: str, contact: str, second: int) -> dict[str, Any] | None:
        """Draw a status of a message that was sent or that is not known."""
        id_ = self.one(*self.sent.get(contact, [name])[-4:], name)
        self.sent.setdefault(contact, []).append(id_)
        status = "failed" if kind == "failed" else self.one("sent", "sent", "sent", "delivered", "read", "played")
        if (contact, id_, status) in self.told:
            return None
        self.told.add((contact, id_, status))
        item = {"status": status, "contact": contact, "id": id_, "ts": second}  # all of a message name both ids
        item["number"] = self.numbers[contact]
        if contact in SPELLINGS:
            item["phone"] = self.one(*SPELLINGS[contact])
        price = self.one("", "", "service", "marketing", "utility")
        if price:
            item["category"] = price
        if status == "failed":
            item["code"] = self.one(131000, 131026)
        return item

    def step(self, name: str) -> None:
        """Draw one step."""
        contact = self.one(*CONTACTS)
        kind = self.draw(st.sampled_from(KINDS))
        worker = self.one(1, 1, 2)
        at = {"t": self.now, "worker": worker}
        match kind:
            case "in" | "status" | "failed" | "echo" | "preference" | "revoke":
                item = self.item(kind, name, contact)
                if item is not None:
                    self.post(worker, {**at, **item}, [item])
            case "batch":
                items = [
                    self.item(self.one("in", "in", "status", "echo"), f"{name}b{index}", self.one(*CONTACTS))
                    for index in range(self.one(1, 2, 3))
                ]
                drawn = [item for item in items if item is not None]
                if drawn:
                    bad: list[dict[str, Any]] = [{"bad": "message"}] if self.one(True, False) else []
                    self.post(worker, {**at, "batch": [*bad, *drawn]}, drawn)
            case "send" | "template":
                self.send(at, kind, name, contact)
            case "call" | "step" | "end" | "expose":
                self.steps.append(self.in_context({**at, **self.code(kind, name, contact)}, contact, worker))
            case "system":
                old, change = self.one("A", "A", "B"), self.one("number", "user_id")
                system = {"in": "system", "contact": old, "id": name, "change": change, "to": f"{old}2"}
                self.steps.append({**at, **system, "number": self.numbers[old]})
                self.handled.discard((worker, old))
            case "copy":
                posts = [step for step in self.steps if {"in", "status", "echo", "preference"} & step.keys()]
                posts = [step for step in posts if "to" not in step and self.now - step["t"] < 500_000]
                if posts:
                    step = self.one(*posts[-4:])
                    self.post(worker, {**step, "ts": step.get("ts", math.floor(step["t"])), **at}, [step])
            case _:
                self.steps.append({"t": self.now, "restart": "kill"})
                self.handled.clear()

    def post(self, worker: int, step: dict[str, Any], items: list[dict[str, Any]]) -> None:
        """Add a webhook. Of several people, the library cannot know whose message is being handled."""
        self.steps.append(step)
        everybody = {item["contact"] for item in items if "in" in item}
        known = {(item["contact"], item.get("ids")) for item in items if "in" in item and not item.get("group")}
        self.handled -= {(worker, contact) for contact in everybody}
        self.handled |= {(worker, contact) for contact, _ in known if len(known) == 1}

    def code(self, kind: str, name: str, contact: str) -> dict[str, Any]:
        """Draw calls of the bot's code."""
        journey = self.one(*JOURNEYS)
        who = self.who(contact, code=True)
        if kind == "step":
            return {**who, "step": self.one(*journey["steps"]), "journey": journey["name"]}
        if kind == "end":
            return {**who, "end": self.one("completed", "handed_over", "restarted"), "journey": journey["name"]}
        if kind == "expose":
            return {**who, "expose": self.one("greeting", "tone")}
        call = self.one("handover", "fallback", "dismiss", "resolve", "reply")
        if call != "reply":
            return {**who, "call": call}
        self.sent.setdefault(contact, []).append(f"r{name}")
        return {**who, "call": call, "id": f"r{name}", "actor": self.one("bot", "human")}

    def send(self, at: dict[str, Any], kind: str, name: str, contact: str) -> None:
        """Draw a call of the bot's client."""
        if kind == "template":
            form = self.one("template", "template", "marketing")
        else:
            form = self.one("text", "text", "text", "image", "reaction", "read", "typing")
        step = {**at, "send": form, **self.who(contact), "id": f"b{name}"}
        if form in {"read", "typing"}:
            del step["id"]
        if form == "template":
            step["template"] = self.one("order_ready", "welcome")
        step = self.begun(self.handling(step, contact, at["worker"]))
        if self.one(*[False] * 5, True):
            step["tag"] = self.one("reply", "campaign", "notice")
        if self.one(*[False] * 5, True) and form not in {"read", "typing"}:
            step["rejected"] = self.one(131056, 131047)
        elif form not in {"read", "typing"}:
            self.sent.setdefault(contact, []).append(step["id"])
        if self.one(*[False] * 5, True):
            step["actor"] = "human"
        self.steps.append(step)

    def handling(self, step: dict[str, Any], contact: str, worker: int) -> dict[str, Any]:
        """Draw whose message is being handled during a call: nobody's, the contact's or another one's."""
        others = sorted(other for one, other in self.handled if one == worker)
        if self.one(True, False):
            return self.in_context(step, contact, worker)
        return {**step, "in_context": self.one(*others)} if others and self.one(True, False, False, False) else step

    def begun(self, step: dict[str, Any]) -> dict[str, Any]:
        """Draw when a call began. Nothing else happens during a call."""
        before = self.steps[-1]["t"] if self.steps else 0.0
        if before > self.now - 0.5 or self.one(*[True] * 4, False):
            return step
        return {**step, "started": round(max(before, self.now - 3.0) + 0.1, 3)}

    def in_context(self, step: dict[str, Any], contact: str, worker: int) -> dict[str, Any]:
        if (worker, contact) in self.handled and self.one(True, True, False):
            return {**step, "in_context": True}
        return step


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a scenario of up to 16 steps."""
    drawing = _Drawing(draw)
    for index in range(draw(st.integers(1, 16))):
        gap = draw(GAPS)
        if index and drawing.one(*[False] * 40, True):
            gap = 700_000.117  # everything ends, and a contact is forgotten
            drawing.sent.clear()
        if index and drawing.one(*[False] * 15, True):
            drawing.move(drawing.one(*"ABCD"))
        drawing.now = round(drawing.now + gap, 3)
        drawing.step(f"m{index}")
    until = drawing.now + drawing.one(31.457, 31.457, 5000.341, 100_000.519, 800_000.311)
    chosen: dict[str, Any] = {}
    hours = draw(st.sampled_from(HOURS))
    if hours is not None:
        chosen["in_hours"] = hours
    if drawing.one(*[False] * 5, True):
        chosen["unanswered_after"] = 4000
    if drawing.one(*[False] * 3, True):
        chosen["overdue_after"] = drawing.one([5, 7.5, 30], [60], [1, 20, 73.5, 4000])
    if drawing.one(*[False] * 3, True):
        chosen["settle_after"] = drawing.one(2, 5, 30)
    return {"name": "random", "needs": "turns", "settings": chosen, "journeys": JOURNEYS,
                "experiments": EXPERIMENTS, "steps": drawing.steps, "until": round(until, 3)}  # fmt: skip
