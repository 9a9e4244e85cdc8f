"""The service level objective that rules and dashboards are made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

THRESHOLDS: Final = (10, 60, 300, 3600)
"""Overdue thresholds that are measured by default, in seconds."""

BURNS: Final = (("5m", "1h", 14.4), ("30m", "6h", 6.0), ("2h", "1d", 3.0), ("6h", "3d", 1.0))
"""Burn rates that are alerted on: short window, long window, factor."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A share of turns that must be answered within a number of seconds.

    Args:
        share: the share of turns, such as 0.95.
        threshold: seconds, which must be one of the overdue thresholds.

    Raises:
        ValueError: the threshold is not measured, or an alert of the objective could never fire.

    """

    share: float = 0.95
    threshold: int = 60

    def __post_init__(self) -> None:
        """Refuse objectives that can never be missed."""
        if self.threshold not in THRESHOLDS:
            allowed = ", ".join(map(str, THRESHOLDS))
            raise ValueError(f"the threshold must be one of the overdue thresholds {allowed} s, not {self.threshold}")
        if not 0.5 <= self.share < 1.0:
            raise ValueError(f"the objective must be a share from 0.5 to below 1, such as 0.95, not {self.share:g}")
        if not self.budget:  # which dashboards divide by
            raise ValueError(f"an objective of {self.share!r} lets no turn be late. Choose at most 0.999999")
        for short, long, factor in BURNS:
            if factor * self.budget >= 1.0:
                least = 1.0 - 1.0 / factor
                raise ValueError(
                    f"with an objective of {self.share:g} the burn alert over {short} and {long} could never fire: "
                    f"{factor:g} times the budget is more than everything. Choose an objective above {least:.3f}"
                )

    @property
    def budget(self) -> float:
        """The share of turns that may be late."""
        return round(1.0 - self.share, 6)
