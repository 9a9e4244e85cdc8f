"""The measures that two sides are compared by, and the better direction of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from chatvitals.analysis import statistics
from chatvitals.analysis.statistics import Estimate, Share
from chatvitals.analysis.wording import count, interval, per_thousand, percent, points

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.analysis.figures import Figures

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure.

    Args:
        label: name in reports. `{}` stands for the key.
        of: function that returns the shares by key, such as journey and step. A measure without keys has the empty key.
        good: whether a larger value is better.
        number: function that formats a share.
        scale: factor for differences of shares.

    """

    label: str
    of: Callable[[Figures], dict[Key, Share]]
    good: bool = False
    number: Callable[[float], str] = percent
    scale: float = 1.0
    counted: bool = False

    def write(self, share: Share) -> str:
        """Return a share as text, with its count where the measure asks for it."""
        text = self.number(share.value)
        return f"{text} ({count(share.count)})" if self.counted and share.total else text

    def difference(self, change: Change) -> str:
        """Return a difference with its interval as text."""
        found = change.difference
        if found.value != found.value:  # NaN: one side has no data
            return ""
        scaled = [value * self.scale for value in (found.value, found.low, found.high)]
        return f"{points(scaled[0])} ({interval(scaled[1], scaled[2])})"


@dataclass(slots=True)
class Change:
    """The difference of one measure between two sides."""

    measure: str
    key: Key
    label: str
    ours: Share
    other: Share
    difference: Estimate
    verdict: Literal["better", "worse", ""]


MEASURES: Final[dict[str, Measure]] = {
    "over_minute": Measure("over a minute", lambda f: {(): f.over_minute}, counted=True),
    "no_answer": Measure("no answer at all", lambda f: {(): f.no_answer}, counted=True),
    "not_understood": Measure("not understood", lambda f: {(): f.not_understood}),
    "completed": Measure("{} completed", lambda f: {(name,): share for name, share in f.completed.items()}, good=True),
    "left_at": Measure("  left at {1}", lambda f: dict(f.left_at.items())),
    "read": Measure("read", lambda f: {(): f.read}, good=True),
    "opt_outs": Measure(
        "opt-outs per 1,000", lambda f: {(): f.opt_outs}, number=per_thousand, scale=10.0, counted=True
    ),
    "failed": Measure("failed messages", lambda f: {(): f.failed}, counted=True),
}


def changes(ours: Figures, other: Figures) -> list[Change]:
    """Return the difference of each measure. Intervals are Newcombe's, for one look.

    The unit is the counted thing, such as a turn or a run. Customers who write often make the intervals a little too
    narrow.
    """
    found = []
    for name, measure in MEASURES.items():
        left, right = measure.of(ours), measure.of(other)
        for key in left | right:
            one, two = left.get(key, Share(0, 0)), right.get(key, Share(0, 0))
            if not one.total and not two.total:
                continue
            difference = statistics.newcombe(one, two)
            label = measure.label.format(*key)
            found.append(Change(name, key, label, one, two, difference, _verdict(difference, good=measure.good)))
    return found


def _verdict(difference: Estimate, *, good: bool) -> Literal["better", "worse", ""]:
    if difference.direction == 0:
        return ""
    return "better" if (difference.direction > 0) == good else "worse"
