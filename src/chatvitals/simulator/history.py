"""Simulation of months in minutes: customers, bot and platform on a virtual clock, with the real rules."""

from __future__ import annotations

import heapq
import itertools
import math
from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from chatvitals.events import (
    Call,
    Echo,
    Exposed,
    Handled,
    Message,
    Preference,
    Send,
    Status,
    Step,
    Webhook,
)
from chatvitals.settings import Settings
from chatvitals.simulator import story as the_story
from chatvitals.simulator.platform import NEWS, OFFER, POLL_SECONDS, Platform
from chatvitals.simulator.story import DAY, HOUR, Story, StoryLine
from chatvitals.stores import open_store
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.core import Metric

    from chatvitals.events import PersonEvent
    from chatvitals.exporters.prometheus import VitalsCollector

NEVER: Final = 2 * DAY
"""Seconds after which a missing answer will not come any more."""
_RATE_HOLDS: Final = 900.0  # seconds
_USUAL_GOAL: Final = 0.53  # of contacts
_STEPS: Final = ("menu", "item", "address", "payment")
_SPANS: Final = {"stalled_after": 1800.0, "abandoned_after": DAY, "expires_after": 7 * DAY}


class History:
    """A simulated period.

    Args:
        story: the events of the period.
        start: start of the period, in Unix seconds.
        days: length of the period.
        seed: random seed. The same seed gives the same history.
        every: seconds between two samples.
        effect: excess of the variant "emoji" in the experiment's goal, as a share of contacts.

    """

    def __init__(
        self, story: Story, *, start: float, days: float, seed: int, every: float, effect: float = 0.0
    ) -> None:
        self.start = start
        self.end: float = start + days * DAY
        self.now: float = start
        self._story = story
        self._every = every
        self._stay = ((_USUAL_GOAL + effect) / _USUAL_GOAL) ** (1 / (len(_STEPS) - 1))
        self._random = Random(seed)
        self._store = open_store("memory:")
        self._vitals = self._deploy(story.version(0.0))
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._people = itertools.count(1)
        self._ids = itertools.count(1)
        self._platform = Platform(story, start)
        self._read_rate = dict.fromkeys((line.number for line in story.lines), 0.72)
        self._version = story.version(0.0)
        for line in story.lines:
            self._at(start, partial(self._arrive, line))
            self._at(start + 9 * HOUR, partial(self._campaign, line))
        self._at(start, self._poll)

    def play(self) -> Iterator[tuple[float, list[Metric]]]:
        """Run the period and yield the content of `/metrics` at each sample's time."""
        for at, collector in self.samples():
            yield at, list(collector.collect())

    def samples(self) -> Iterator[tuple[float, VitalsCollector]]:
        """Run the period and yield the bot's collector at each sample's time."""
        at = self.start
        while at <= self.end:
            while self._agenda and self._agenda[0][0] <= at:
                self.now, _, act = heapq.heappop(self._agenda)
                act()
            self.now = at
            self._deploy_if_due()
            self._commit()
            if self._is_scraped():
                yield at, self._vitals.collector
            at += self._until_next_sample(at)

    def _poll(self) -> None:
        for event in self._platform.heard(self.now):
            self._emit(event)
        self._at(self.now + POLL_SECONDS, self._poll)

    # Customers and bot

    def _arrive(self, line: StoryLine) -> None:
        """Let a customer write, and plan the next customer by the hourly rate."""
        self._await_next(line)
        person = self._person(line)
        self._platform.feedback[line.number].met(self.now)
        if self._random.random() < 0.6:
            self._send(person, Exposed, experiment="greeting", goal="order", variant=_variant(person))
        self._ask(line, person, 0)

    def _await_next(self, line: StoryLine) -> None:
        """Plan the next customer. The rate is checked again after a while, because a low rate would last too long."""
        rate = self._arrivals_per_hour(line) / HOUR
        gap = self._random.expovariate(rate) if rate > 0.0 else math.inf
        if gap <= _RATE_HOLDS:
            self._at(self.now + gap, partial(self._arrive, line))
        else:
            self._at(self.now + _RATE_HOLDS, partial(self._await_next, line))

    def _ask(self, line: StoryLine, person: dict[str, str], step: int) -> None:
        """Let the customer write and wait. The bot answers, and a customer may leave before the answer."""
        slow = self._story.is_slow(line, self._share())
        self._write(person)
        wait = self._answer_after(step, slow=slow)
        if self._random.random() < 0.25:  # a second message of the same burst
            self._at(self.now + self._random.uniform(0.2, 0.9) * min(wait, 8.0), partial(self._write, person))
        patience = the_story.patience_seconds(self._random)
        if self._random.random() < (0.02 if slow else 0.0):
            wait = NEVER  # the bot fails
        if wait < NEVER:
            self._at(self.now + wait, partial(self._answer, line, person, step, seconds=wait))
        if wait > patience:
            self._at(self.now + patience, partial(self._give_up, line, person))
        elif self._random.random() < 0.004:
            self._at(self.now + wait + 30.0, partial(self._give_up, line, person))

    def _give_up(self, line: StoryLine, person: dict[str, str]) -> None:
        """Let an impatient customer leave. Some of them block the number, some opt out."""
        if self._random.random() < 0.35:
            self._platform.feedback[line.number].blocked(self.now)
        if self._random.random() < 0.2:
            self._opt_out(person)
        person["left"] = "yes"

    def _answer(self, line: StoryLine, person: dict[str, str], step: int, *, seconds: float) -> None:
        handler = _STEPS[min(step, 3)]
        self._emit(
            Handled(
                phone_number_id=line.number, handler=handler, seconds=min(seconds, 20.0) / 10, result=self._result()
            )
        )
        self._send(person, Step, journey="order", step=handler, completes=handler == "payment", **_SPANS)
        if self._random.random() < 0.05:
            self._send(person, Call, name="fallback")
        self._reply(line, person)
        if self._random.random() < self._handed_over:
            self._hand_over(person)
            return
        if "left" in person or handler == "payment" or self._random.random() < self._leaving(person, step):
            return
        again = step if self._random.random() < 0.12 else step + 1
        self._at(self.now + self._random.uniform(8.0, 90.0), partial(self._go_on, line, person, again))

    def _leaving(self, person: dict[str, str], step: int) -> float:
        """Return the probability that this customer leaves after a step."""
        usual = self._leaves(step)
        return 1 - min((1 - usual) * self._stay, 1.0) if _variant(person) == "emoji" else usual

    def _go_on(self, line: StoryLine, person: dict[str, str], step: int) -> None:
        if "left" not in person:
            self._ask(line, person, step)

    def _hand_over(self, person: dict[str, str]) -> None:
        """Hand a customer over to a person. The customer explains, and the answer comes minutes later."""
        self._send(person, Call, name="handover")
        explains = self.now + self._random.uniform(20.0, 120.0)
        self._at(explains, partial(self._write, person))
        self._at(self._person_at(explains), partial(self._person_answers, person))

    def _person_answers(self, person: dict[str, str]) -> None:
        self._send(person, Echo, id=self._id(), type="text", timestamp=int(self.now))

    def _campaign(self, line: StoryLine) -> None:
        """Send the daily offer to customers. A number with slow answers has a lower read rate."""
        slow = self._story.is_slow(line, self._share())
        target = 0.42 if slow else 0.72
        self._read_rate[line.number] += 0.3 * (target - self._read_rate[line.number])
        for _ in range(self._campaign_size()):
            self._at(self.now + self._random.uniform(0.0, 2 * HOUR), partial(self._offer, line))
        self._at(self.now + DAY, partial(self._campaign, line))

    def _offer(self, line: StoryLine) -> None:
        person = self._person(line)
        message = self._id()
        name = OFFER if line.troubled else NEWS
        self._send(person, Send, kind="campaign", accepted=True, id=message, seconds=0.2, template=name, language="en")
        refused = self._platform.rating(line.number) == "RED" and self._random.random() < 0.08
        if refused or self._random.random() < 0.02:
            code = "131048" if refused else self._random.choice(("131026", "131049"))
            self._status(person, message, "failed", 4.0, "marketing", code)
            return
        self._deliver(person, message, "marketing", self._read_rate[line.number])
        if self._random.random() < (0.006 if self._story.is_slow(line, self._share()) else 0.0015):
            self._at(self.now + 900.0, partial(self._opt_out, person))

    def _reply(self, line: StoryLine, person: dict[str, str]) -> None:
        if self._random.random() < 0.004:
            self._send(person, Send, kind="reply", accepted=False, code="131056", seconds=0.3)
        if code := self._refusal():
            self._send(person, Send, kind="reply", accepted=False, code=code, seconds=0.3)
            return
        message = self._id()
        self._send(person, Send, kind="reply", accepted=True, id=message, seconds=self._random.uniform(0.08, 0.6))
        if self._random.random() < 0.0004:
            self._status(person, message, "failed", self._random.choice((3.0, 45.0)), "service", "131026")
        else:
            self._deliver(person, message, "service", 0.9 * self._read_rate[line.number] / 0.72)

    def _deliver(self, person: dict[str, str], message: str, category: str, read: float) -> None:
        self._status(person, message, "sent", 0.4, category)
        self._status(person, message, "delivered", self._random.uniform(0.8, 4.0), category)
        if self._random.random() < read:
            self._status(person, message, "read", self._random.lognormvariate(3.5, 1.2), category)

    def _write(self, person: dict[str, str]) -> None:
        kind = self._random.choices(("text", "interactive", "image"), (70, 25, 5))[0]
        lag = 0.0 if self._random.random() < 0.97 else self._random.uniform(2.0, 20.0)
        self._send(person, Message, id=self._id(), type=kind, timestamp=int(self.now - lag))

    def _opt_out(self, person: dict[str, str]) -> None:
        self._send(person, Preference, category="marketing_messages", value="stop", timestamp=int(self.now))

    def _status(  # the ends of a message, as WhatsApp reports them
        self, person: dict[str, str], message: str, status: str, after: float, category: str, code: str = ""
    ) -> None:
        def report() -> None:
            self._send(person, Status, id=message, status=status, timestamp=int(self.now), category=category, code=code)

        self._at(self.now + after, report)

    # Extension points of other histories

    _settings: ClassVar[dict[str, object]] = {}
    _handed_over = 0.015
    """The share of answers after which a person takes over."""

    def _arrivals_per_hour(self, line: StoryLine) -> float:
        return the_story.arrivals_per_hour(line.busiest, self.now)

    def _answer_after(self, step: int, *, slow: bool) -> float:  # noqa: ARG002 - other histories use the step
        return the_story.answer_seconds(self._random, slow=slow)

    def _leaves(self, step: int) -> float:  # noqa: ARG002 - other histories use the step
        """Return the share of customers that leave after a step."""
        return 0.14

    def _person_at(self, explained: float) -> float:
        """Return the time at which a person answers a customer that has explained the matter."""
        return explained + self._random.lognormvariate(5.0, 0.6)

    def _campaign_size(self) -> int:
        return self._story.campaign_size

    def _until_next_sample(self, at: float) -> float:  # noqa: ARG002 - other histories use the time
        return self._every

    def _is_scraped(self) -> bool:
        return True

    def _refusal(self) -> str:
        """Return the code with which WhatsApp refuses every send, or the empty string."""
        return ""

    # Machinery

    def _at(self, when: float, act: Callable[[], None]) -> None:
        if when <= self.end:
            heapq.heappush(self._agenda, (when, next(self._order), act))

    def _share(self) -> float:
        return (self.now - self.start) / (self.end - self.start)

    def _id(self) -> str:
        return f"wamid.{next(self._ids)}"

    def _result(self) -> Literal["ok", "error"]:
        return "error" if self._random.random() < 0.004 else "ok"

    def _person(self, line: StoryLine) -> dict[str, str]:
        """Return a customer. Most customers are new, and some have written before."""
        latest = next(self._people)
        index = self._random.randint(max(1, latest - 3000), latest) if self._random.random() < 0.3 else latest
        return {"number": line.number, "phone": f"1555{index:07d}"}

    def _send(self, person: dict[str, str], of: type[PersonEvent], /, **more: object) -> None:
        event = of(phone_number_id=person["number"], wa_id=person["phone"], received=self.now, **more)  # type: ignore[arg-type]
        if of in {Message, Status, Echo, Preference}:
            field = {Echo: "smb_message_echoes", Preference: "user_preferences"}.get(of, "messages")
            self._deliver_webhook(event, field)
        else:
            self._emit(event)

    def _deliver_webhook(self, event: PersonEvent, field: str) -> None:
        self._emit(Webhook(result="accepted", received=self.now, events=[event], fields={(field, True): 1}))

    def _emit(self, event: object) -> None:
        self._vitals._emit(event)  # type: ignore[arg-type]

    def _commit(self) -> None:
        self._vitals._pipeline.drain()

    def _deploy_if_due(self) -> None:
        version = self._story.version(self._share())
        if version != self._version:
            self._version = version
            self._commit()
            self._vitals = self._deploy(version)

    def _deploy(self, version: str) -> Vitals:
        """Start the bot as a new process on the same store."""
        given = {"store": "memory:", "hooks": False, "app_version": version, "queue_size": 1_000_000}
        settings = Settings.load({**given, **self._settings}, environ={})
        vitals = Vitals(settings, store=self._store, clock=lambda: self.now, background=False)
        order = vitals.journey("order", _STEPS, completed_by="payment")
        vitals.experiment("greeting", {"plain": 1, "emoji": 1}, goal=order)
        return vitals


def _variant(person: dict[str, str]) -> str:
    """Return the variant of a customer, which is always the same."""
    return "emoji" if int(person["phone"]) % 2 else "plain"
