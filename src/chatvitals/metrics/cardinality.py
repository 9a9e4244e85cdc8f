"""A cap on the distinct values of a label, so that nothing from outside can grow the number of series for ever."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.metrics.measurements import Cell

_LONGEST = 512  # Meta's longest template name; anything longer is no name


class CardinalityLimiter:
    """Lets each label have its first `cap` values; others are `other` and are counted."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._admitted: dict[str, set[str]] = {}
        self.overflow: Counter[str] = Counter()

    def learn(self, cells: Iterable[Cell]) -> None:
        """Admit the values that the store has already, from before a restart or from other workers."""
        for family_name, values, _ in cells:
            family = catalogue.FAMILIES.get(family_name)
            if family is not None:
                for label, value in zip(family.labels, values, strict=False):
                    if label in family.capped and value != enums.OTHER:
                        self._admitted.setdefault(label, set()).add(value)

    def limit(self, label: str, value: str) -> str:
        """Return `value`, or `other` where the label has reached its cap or the value can be no name."""
        admitted = self._admitted.setdefault(label, set())
        if value in admitted or not value or value == enums.OTHER:
            return value
        if len(admitted) >= self._cap or len(value) > _LONGEST or not value.isprintable():
            self.overflow[label] += 1
            return enums.OTHER
        admitted.add(value)
        return value

    def drain_overflow(self) -> Counter[str]:
        """Return the counts since the last call and start again at nothing."""
        taken, self.overflow = self.overflow, Counter()
        return taken
