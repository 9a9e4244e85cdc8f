"""The ways between the steps of a journey: where it branches, and where runs begin."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

START: Final = "start"
_STRAY: Final = 0.1
"""The share of a step's entries up to which a way counts as a stray: people also go back and jump."""


class Paths:
    """The number of moves between each two steps. A run's first move comes from `START`."""

    def __init__(self) -> None:
        self._moves: Counter[tuple[str, str]] = Counter()

    def add(self, from_step: str, to_step: str, count: float) -> None:
        """Count moves between two steps."""
        self._moves[from_step, to_step] += int(count)

    def beginnings(self, first: str) -> list[tuple[str, int]]:
        """Return the steps other than `first` at which runs began, with their numbers, the most first."""
        found = Counter({to: count for (start, to), count in self._moves.items() if start == START and to != first})
        return [(step, count) for step, count in found.most_common() if count]

    def alternatives(self, steps: Sequence[str]) -> list[list[str]]:
        """Return the steps in their order, those between which runs choose together in one list.

        paths.alternatives(["menu", "address", "pickup", "paid"]) == [["menu"], ["address", "pickup"], ["paid"]]

        Neighbours are alternatives where runs come to both from one step, and hardly any goes from one to the other.
        """
        groups: list[list[str]] = []
        for step in steps:
            if groups and self._is_alternative(groups[-1], step):
                groups[-1].append(step)
            else:
                groups.append([step])
        return groups

    def _is_alternative(self, others: Sequence[str], step: str) -> bool:
        mine = self._before(step)
        return all(
            (mine - {other}) & (self._before(other) - {step})
            and not self._is_way(other, step)
            and not self._is_way(step, other)
            for other in others
        )

    def _before(self, step: str) -> set[str]:
        comes = {start for start, to in self._moves if to == step and start not in {START, step}}
        return {start for start in comes if self._is_way(start, step)}

    def _is_way(self, start: str, to: str) -> bool:
        """Return whether more than strays go from one step to another."""
        entered = sum(count for (_, step), count in self._moves.items() if step == to)
        return self._moves[start, to] > _STRAY * entered
