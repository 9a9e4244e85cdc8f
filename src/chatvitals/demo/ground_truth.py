"""The customers' own measurements of turns and waits, without any data from the bot."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from chatvitals.demo.order_flow import Progress


@dataclass(slots=True)
class MeasuredTurn:
    """One turn in the customer's view. Times are seconds of the customer's clock."""

    start: float
    """Time at which its first message was handed to WhatsApp."""
    wait: float | None = None
    """Time until the first reply, or None while there is no reply."""
    unknown: float = 0.0
    """Largest delay, up to a second, by which the bot's side may place the start after `start`.

    It is the time until the webhook arrived. Only WhatsApp's whole seconds show a delay (conversations/README.md 3).
    """
    not_understood: bool = False
    """Whether any of its messages was not an answer that the bot had asked for."""


@dataclass(slots=True)
class Truth:
    """The measurements of all customers together. Any stable key identifies a customer."""

    turns: list[MeasuredTurn] = field(default_factory=list)
    messages: int = 0
    customers: int = 0
    gave_up: int = 0
    """Number of customers that left without an answer."""
    blocked: int = 0
    """Number of these customers that blocked the number."""
    order: Progress = field(default_factory=Progress)
    """Progress of the customers in the bot's journey."""
    _open: dict[str, MeasuredTurn] = field(default_factory=dict)

    def wrote(self, who: str, at: float) -> MeasuredTurn:
        """Record a message that needs an answer. It joins the open turn or opens a turn (conversations/README.md 4)."""
        self.messages += 1
        turn = self._open.get(who)
        if turn is None:
            turn = self._open[who] = MeasuredTurn(at)
            self.turns.append(turn)
        return turn

    def reacted(self) -> None:
        """Record a reaction, which is a message but not a turn."""
        self.messages += 1

    def got_reply(self, who: str, at: float) -> bool:
        """Record a reply on the customer's phone. Return whether it closes a turn."""
        turn = self._open.pop(who, None)
        if turn is None:
            return False
        turn.wait = at - turn.start
        return True

    def waiting(self, who: str) -> bool:
        """Return whether this customer waits for a reply."""
        return who in self._open

    @property
    def waits(self) -> list[float]:
        """The waiting times of answered turns, in seconds."""
        return [turn.wait for turn in self.turns if turn.wait is not None]

    @property
    def unanswered(self) -> int:
        """Number of turns without a reply."""
        return len(self._open)

    @property
    def mean(self) -> float | None:
        """The mean waiting time of answered turns in seconds, or None without any."""
        waits = self.waits
        return sum(waits) / len(waits) if waits else None

    def quantile(self, q: float) -> float | None:
        """Return the waiting time of answered turns at rank `q` (0 to 1) in seconds, or None without any."""
        waits = self.waits
        return at_rank(q, waits) if waits else None


def at_rank(q: float, values: list[float]) -> float:
    """Return the element of `values` at rank `q` (0 to 1), with the ranks of a histogram's quantile."""
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
