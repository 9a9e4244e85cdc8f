"""Simulated months for alert tests: quiet months without alerts, and months with an incident.

`MONTHS` holds them by name. They are short months of eleven days, because alerts compare with the week before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from chatvitals.events import Message
from chatvitals.simulator import story as the_story
from chatvitals.simulator.history import NEVER, History
from chatvitals.simulator.story import DAY, HOUR, Story, StoryLine
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.events import PersonEvent

DAYS: Final = 11.0
_TURNS_PER_BUSIEST: Final = 29.0  # turns of a day, per conversation in the busiest hour
_NUMBER: Final = ("990005556667778", "15550001234", "Corner Bakery")

Fault = Literal["bot", "webhooks", "store", "slow", "step", "answers", "token", "leavers", "deploy"]


@dataclass(frozen=True, slots=True)
class Incident:
    """A fault with its start (days after the start of the month) and its length in hours."""

    fault: Fault
    day: float
    hours: float
    pages: bool = False
    """Whether the incident should page somebody within the hour."""


@dataclass(frozen=True, slots=True)
class MonthPlan:
    """The differences of one month from an ordinary month."""

    name: str
    about: str
    turns: float = 240.0
    """Turns of an ordinary day."""
    incident: Incident | None = None
    open_from: float = 0.0
    """The hour of the day from which customers write, until `open_to`. A lower `open_to` means over midnight."""
    open_to: float = 24.0
    sundays_closed: bool = False
    growth: float = 1.0
    """Factor of the number of customers at the end of the month."""
    restarts: bool = False
    """Whether the process is killed every hour and loses its uncommitted events."""
    slower: float = 1.0
    people: float = 0.015
    """The share of answers after which a person takes over."""
    opening_hours: bool = False
    """Whether people work from 8 to 20 only, with the bot's opening hours set."""
    thanks: float = 0.0
    """The share of completed journeys after which the customer says thanks and the bot does not reply."""
    campaign: int = 20
    big_campaign: int = 0
    """The size of an additional campaign on the tenth day."""


def _plans() -> Iterator[MonthPlan]:
    yield MonthPlan("small", "33 turns a day", turns=33.0, campaign=0)
    yield MonthPlan("night", "customers write at night only", open_from=21.0, open_to=6.0)
    yield MonthPlan("restarts", "a new process every hour, after kill -9", restarts=True)
    yield MonthPlan("weekly", "closed on Sundays, twice as many on Saturdays", sundays_closed=True)
    yield MonthPlan("growth", "four times as many customers at the end", growth=4.0)
    yield MonthPlan("slower", "answers take twice as long: 4.4 s", slower=2.0)
    yield MonthPlan("people", "people take over, from 8 to 20 h", people=0.03, opening_hours=True)
    yield MonthPlan("thanks", "thanks that the bot ignores, after 3 % of answers", thanks=0.12)
    yield MonthPlan("campaign", "one campaign of 3,000", big_campaign=3000)
    yield MonthPlan("bot-gone", "the bot is gone for 3 h", incident=Incident("bot", 9.5, 3.0, pages=True))
    yield MonthPlan(
        "meta-silent", "WhatsApp sends no webhooks for 2 h", turns=700.0,
        incident=Incident("webhooks", 9.5, 2.0, pages=True),
    )  # fmt: skip
    yield MonthPlan("store-away", "the store is away for 1 h", incident=Incident("store", 9.5, 1.0, pages=True))
    yield MonthPlan("slow", "13 % of answers take over 60 s, for 36 h", incident=Incident("slow", 9.5, 36.0))
    yield MonthPlan(
        "dead-step", "one step's handler is dead for 6 h", turns=500.0, incident=Incident("step", 9.5, 6.0, pages=True)
    )
    yield MonthPlan(
        "small-dead", "a small bot answers nobody for 24 h", turns=33.0, campaign=0,
        incident=Incident("answers", 9.5, 24.0, pages=True),
    )  # fmt: skip
    yield MonthPlan("token", "every send is refused for 4 h", incident=Incident("token", 9.5, 4.0, pages=True))
    yield MonthPlan("leavers", "35 % more leave at a step", incident=Incident("leavers", 9.0, 48.0))
    yield MonthPlan(
        "deploy", "a slow deploy, and the rating falls", turns=500.0, incident=Incident("deploy", 8.5, 60.0)
    )


MONTHS: Final = {plan.name: plan for plan in _plans()}
"""The 18 months: nine quiet months and nine with an incident."""


class Month(History):
    """One simulated month.

    Args:
        plan: the differences from an ordinary month.
        start: start of the month in Unix seconds. It must be a midnight.
        seed: the same seed gives the same month.
        every: seconds between two samples.
        days: length of the month.
        fine_after: days at the start with four times the distance between samples, which saves time.

    Example:
        >>> month = Month(MONTHS["small"], start=1_790_553_600.0, days=0.01)
        >>> len(list(month.play()))
        6

    """

    def __init__(
        self,
        plan: MonthPlan,
        *,
        start: float,
        seed: int = 1,
        every: float = 150.0,
        days: float = DAYS,
        fine_after: float = 0.0,
    ) -> None:
        self.plan = plan
        self._fine_from = start + fine_after * DAY
        self.incident: Incident | None = plan.incident
        self._handed_over = plan.people
        if plan.opening_hours:
            opening = {day: [["08:00", "20:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
            self._settings = {"in_hours": {"timezone": "UTC", "days": opening}}  # type: ignore[misc]
        self._held: list[tuple[PersonEvent, str]] = []
        deploy = plan.incident is not None and plan.incident.fault == "deploy"
        line = StoryLine(*_NUMBER, plan.turns / _TURNS_PER_BUSIEST, troubled=True)
        story = Story(
            plan.name, plan.about, slow_from=plan.incident.day / days if plan.incident and deploy else 2.0,
            lines=(line,), campaign_size=plan.campaign,
        )  # fmt: skip
        super().__init__(story, start=start, days=days, seed=seed, every=every)
        self._store = _Unreliable(self._store)  # type: ignore[assignment]
        self._vitals = self._deploy(self._version)
        if plan.restarts:
            self._at(start + HOUR - 10.0, self._restart)
        if plan.incident:
            self._at(self.begins, self._begin)
            self._at(self.ends, self._end)

    @property
    def begins(self) -> float:
        """The start of the incident, in Unix seconds."""
        return self.start + self.incident.day * DAY if self.incident else math.inf

    @property
    def ends(self) -> float:
        """The end of the incident, in Unix seconds."""
        return self.begins + self.incident.hours * HOUR if self.incident else math.inf

    def _has(self, *faults: Fault) -> bool:
        """Return whether any of these faults is active now."""
        return self.incident is not None and self.incident.fault in faults and self.begins <= self.now < self.ends

    def _begin(self) -> None:
        self._store.away = self._has("store")  # type: ignore[attr-defined]

    def _end(self) -> None:
        """End the incident, and deliver the webhooks that WhatsApp could not deliver before."""
        self._store.away = False  # type: ignore[attr-defined]
        held, self._held = self._held, []
        for event, field in held:
            self._deliver_webhook(msgspec.structs.replace(event, received=self.now), field)

    def _restart(self) -> None:
        self._commit()
        self._at(self.now + 10.0, self._kill)

    def _kill(self) -> None:
        self._vitals = self._deploy(self._version)
        self._at(self.now + HOUR - 10.0, self._restart)

    def _arrivals_per_hour(self, line: StoryLine) -> float:
        plan, hour = self.plan, self.now % DAY / HOUR
        if plan.open_from < plan.open_to:
            is_open = plan.open_from <= hour < plan.open_to
        else:
            is_open = hour >= plan.open_from or hour < plan.open_to
        weekday = int(self.now // DAY + 3) % 7
        if not is_open or (plan.sundays_closed and weekday == 6):
            return 0.0
        at_night = 0.6 * line.busiest if plan.open_from > plan.open_to else 0.0
        rate = at_night or the_story.arrivals_per_hour(line.busiest, self.now)
        return (
            rate * (1.0 + (plan.growth - 1.0) * self._share()) * (2.0 if plan.sundays_closed and weekday == 5 else 1.0)
        )

    def _answer_after(self, step: int, *, slow: bool) -> float:
        if self._has("answers") or (self._has("step") and step == 2):
            return NEVER
        if self._has("slow") and self._random.random() < 0.13:
            return self._random.uniform(61.0, 280.0)
        return self.plan.slower * super()._answer_after(step, slow=slow)

    def _leaves(self, step: int) -> float:
        return super()._leaves(step) + (0.35 if step == 1 and self._has("leavers") else 0.0)

    def _person_at(self, explained: float) -> float:
        hour = explained % DAY / HOUR
        if not self.plan.opening_hours or 8.0 <= hour < 20.0:
            return super()._person_at(explained)
        morning = explained // DAY * DAY + (8.0 if hour < 8.0 else 32.0) * HOUR
        return morning + self._random.uniform(0.0, HOUR / 2)

    def _refusal(self) -> str:
        return "190" if self._has("token") else ""

    def _campaign_size(self) -> int:
        day = (self.now - self.start) // DAY
        return self.plan.big_campaign if self.plan.big_campaign and day == 9 else super()._campaign_size()

    def _until_next_sample(self, at: float) -> float:
        return self._every * (4.0 if at < self._fine_from else 1.0)

    def _is_scraped(self) -> bool:
        return not self._has("bot")

    def _answer(self, line: StoryLine, person: dict[str, str], step: int, *, seconds: float) -> None:
        if self._has("bot", "webhooks"):  # the bot gets the message when the webhook comes
            again = self.ends + self._random.uniform(1.0, 120.0)
            self._at(again, lambda: self._answer(line, person, step, seconds=seconds))
            return
        super()._answer(line, person, step, seconds=seconds)
        if step >= 3 and self._random.random() < self.plan.thanks:
            self._at(self.now + self._random.uniform(20.0, 200.0), lambda: self._thank(person))

    def _thank(self, person: dict[str, str]) -> None:
        more = {"closing": True} if "closing" in Message.__struct_fields__ else {}
        self._send(person, Message, id=self._id(), type="text", timestamp=int(self.now), **more)

    def _poll(self) -> None:
        if self._has("bot"):
            self._at(self.ends, self._poll)
        else:
            super()._poll()

    def _deliver_webhook(self, event: PersonEvent, field: str) -> None:
        if self._has("bot", "webhooks"):
            self._held.append((event, field))
        else:
            super()._deliver_webhook(event, field)


class _Unreliable:
    """A store that can be unavailable."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailableError("the simulated store is away")
        return getattr(self._store, name)
