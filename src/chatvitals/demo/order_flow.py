"""The customers' way through an order: branches, misunderstandings, drop-outs, and their progress by step."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from chatvitals.demo.scenarios import Scenario
    from chatvitals.simulator.payloads import Json

JOURNEY = "order"
STEPS = ("menu", "item", "address", "pickup", "payment", "paid")
"""The example bot's journey, in the order in which it is declared."""
EXPERIMENT = "greeting"

PAUSE = (1.0, 2.0)
"""Seconds in which a customer reads a reply and decides."""
PICK_UP = 0.3
"""Share of customers that take the branch `pickup` instead of `address`."""
TYPED = 0.25
"""Share of choices that are typed instead of tapped."""
LOST = {"menu": 0.1, "item": 0.35, "address": 0.25, "pickup": 0.0, "payment": 0.1}
"""Share of customers at a step that write a text the bot does not understand, each time anew."""
LEAVES = {"menu": 0.12, "item": 0.15, "address": 0.2, "pickup": 0.05, "payment": 0.1}
"""Share of customers at a step that read the question and leave."""
_MOST_LOST = 4
_LOOP_VISITS = 3

_HELLOS = ("hello", "hi, are you open today?", "good evening", "I am hungry 🍕", "è aperto?", "one pizza, please")
_MUTTERINGS = ("hm", "do you have it without cheese?", "one moment", "can I see the menu?", "quanto costa?")
_ITEMS = ("Margherita", "Marinara", "Diavola", "Bufala")
_ADDRESSES = ("Garden Lane 7", "Via Roma 12", "5 Church Street", "Am Graben 3")
_TIMES = ("18:00", "19:00", "20:00")
_PAYMENTS = ("Cash", "Card")


class Move(NamedTuple):
    """The messages that a customer writes at once, and the step that each of them leads to."""

    step: str
    contents: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """The plan of a customer, as long as there are answers."""

    picks_up: bool
    lost: dict[str, int]
    """Number of texts by step that the bot does not understand."""
    leaves_at: str
    """The last step that the customer reaches. `paid` completes the order."""

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps in the order in which they are reached."""
        way = ("menu", "item", "pickup" if self.picks_up else "address", "payment", "paid")
        return way[: way.index(self.leaves_at) + 1]

    def moves(self, rng: random.Random) -> Iterator[Move]:
        """Yield the customer's messages in order."""
        for step in self.steps:
            yield Move(step, self._words(step, rng))
            for _ in range(self.lost.get(step, 0)):
                yield Move(step, (text(rng.choice(_MUTTERINGS)),))

    def _words(self, step: str, rng: random.Random) -> tuple[Json, ...]:
        """Return the messages that bring the customer to `step`, which answer the question of the step before."""
        if step == "menu":  # a burst: the first message to arrive opens the menu, the others are not understood there
            return tuple(text(rng.choice(_HELLOS)) for _ in range(rng.choice((1, 1, 1, 2, 2, 3))))
        if step == "item":
            return (_choice("Pick it up" if self.picks_up else "Deliver it", rng),)
        if step in {"address", "pickup"}:
            return (_choice(rng.choice(_ITEMS), rng, reply="list_reply"),)
        if step == "payment":
            return (_choice(rng.choice(_TIMES), rng),) if self.picks_up else (text(rng.choice(_ADDRESSES)),)
        return (_choice(rng.choice(_PAYMENTS), rng),)


def plan(rng: random.Random) -> Walk:
    """Return one customer's walk, drawn at the rates of this module."""
    picks_up = rng.random() < PICK_UP
    lost: dict[str, int] = {}
    for step in ("menu", "item", "pickup" if picks_up else "address", "payment"):
        while lost.get(step, 0) < _MOST_LOST and rng.random() < LOST[step]:
            lost[step] = lost.get(step, 0) + 1
        if rng.random() < LEAVES[step]:
            return Walk(picks_up, lost, step)
    return Walk(picks_up, lost, "paid")


def text(body: str) -> Json:
    """Return the content of a text message."""
    return {"type": "text", "text": {"body": body}}


def _choice(title: str, rng: random.Random, reply: str = "button_reply") -> Json:
    if rng.random() < TYPED:
        return text(title)
    return {"type": "interactive", "interactive": {"type": reply, reply: {"id": title, "title": title}}}


def longest_silence(scenario: Scenario) -> float:
    """Return the longest silence of a customer that is still present, in seconds.

    It is the longest wait plus a pause, plus 5 s for a busy machine. The demo's bot abandons an order after this time,
    so that no order in progress is abandoned.
    """
    longest = max(high for _, high in (*scenario.think, *scenario.later))
    wait = scenario.patience[1] if scenario.trouble is not None else min(scenario.patience[1], longest)
    return wait + PAUSE[1] + 5.0


@dataclass(slots=True)
class Progress:
    """The progress of all customers together, in one form for their actions and for the metrics."""

    reached: Counter[str] = field(default_factory=Counter)
    """Runs that reached a step."""
    visits: Counter[str] = field(default_factory=Counter)
    """Entries into a step."""
    loops: Counter[str] = field(default_factory=Counter)
    """Runs that entered a step three times or more."""
    stopped: Counter[str] = field(default_factory=Counter)
    """Runs that stopped at a step, which were dropped there or are still open."""
    completed: int = 0
    people: set[str] = field(default_factory=set)
    """The customers that wrote, known only on the customers' side."""
    _runs: dict[str, Counter[str]] = field(default_factory=dict)
    _at: dict[str, str] = field(default_factory=dict)

    def entered(self, who: str, step: str) -> bool:
        """Record that a customer's message leads to `step`. Return whether the customer was there already."""
        self.people.add(who)
        run = self._runs.setdefault(who, Counter())
        run[step] += 1
        self.visits[step] += 1
        self.reached[step] += run[step] == 1
        self.loops[step] += run[step] == _LOOP_VISITS
        before = self._at.pop(who, None)
        if before is not None:
            self.stopped[before] -= 1
        if step == STEPS[-1]:
            self.completed += 1
            del self._runs[who]
        else:
            self._at[who] = step
            self.stopped[step] += 1
        return before == step

    def add(self, name: str, labels: dict[str, str], value: float) -> None:
        """Add a sample of `/metrics`. Samples of other families or journeys are ignored."""
        if labels.get("journey") != JOURNEY:
            return
        step, amount = labels.get("step", ""), int(value)
        match name:
            case "journey_step_reached_total":
                self.reached[step] += amount
            case "journey_step_visits_total":
                self.visits[step] += amount
            case "journey_step_loops_total":
                self.loops[step] += amount
            case "journey_step_dropped_total" | "journey_runs_open":
                self.stopped[step] += amount
            case "journey_runs_total" if labels.get("outcome") == "completed":
                self.completed += amount
            case _:
                pass
