"""What customers measured: turns and waiting times by their own clock, without any help from the bot's side."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from chatvitals.demo.order_flow import Progress


@dataclass(slots=True)
class MeasuredTurn:
    """One turn as its customer lived it; times are seconds of the customer's clock."""

    start: float
    """When its first message was handed to WhatsApp."""
    wait: float | None = None
    """How long the customer waited for the first reply; None while there is none."""
    unknown: float = 0.0
    """How far the bot's side may place the start after `start`: until the webhook was there, at most a second.

    WhatsApp's whole seconds are all that tells of a delay on the way (conversations/README.md 3).
    """
    not_understood: bool = False
    """Whether any of its messages was none of the answers that the bot had asked for."""


@dataclass(slots=True)
class Truth:
    """The diary of all customers together; people are told apart by any key that stays the same."""

    turns: list[MeasuredTurn] = field(default_factory=list)
    messages: int = 0
    customers: int = 0
    gave_up: int = 0
    """How many customers left without having been answered."""
    blocked: int = 0
    """How many of them blocked the number."""
    order: Progress = field(default_factory=Progress)
    """How far they got in the bot's journey."""
    _open: dict[str, MeasuredTurn] = field(default_factory=dict)

    def wrote(self, who: str, at: float) -> MeasuredTurn:
        """Note a message that asks for an answer. It joins the open turn or opens one (conversations/README.md 4)."""
        self.messages += 1
        turn = self._open.get(who)
        if turn is None:
            turn = self._open[who] = MeasuredTurn(at)
            self.turns.append(turn)
        return turn

    def reacted(self) -> None:
        """Note a reaction: a message, but no turn."""
        self.messages += 1

    def got_reply(self, who: str, at: float) -> bool:
        """Note a reply on the customer's phone, and say whether it is the one that closes a turn."""
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
        """How many turns have no reply."""
        return len(self._open)

    @property
    def mean(self) -> float | None:
        """The mean waiting time of answered turns, in seconds; None without any."""
        waits = self.waits
        return sum(waits) / len(waits) if waits else None

    def quantile(self, q: float) -> float | None:
        """Return the waiting time of answered turns at rank `q` (0 to 1), in seconds; None without any."""
        waits = self.waits
        return at_rank(q, waits) if waits else None


def at_rank(q: float, values: list[float]) -> float:
    """Return the one of `values` at rank `q` (0 to 1), as a histogram's quantile ranks them."""
    return sorted(values)[max(math.ceil(q * len(values)), 1) - 1]
