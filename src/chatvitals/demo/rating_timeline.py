"""The sequence of ratings: those of the stand-in, and those in `/metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.demo.comparison import Row
from chatvitals.simulator.ratings import SCORES

if TYPE_CHECKING:
    from chatvitals.demo.comparison import Reported
    from chatvitals.demo.ground_truth import Truth
    from chatvitals.simulator.ratings import Ratings


class _Track:
    """One rating on both sides, without repetitions. Unknown ratings are left out."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.given: list[str] = []
        self.reported: list[str] = []

    def note(self, elapsed: float, given: str, reported: str | None) -> str:
        """Record both sides' values. Return new values as a line of text, or the empty string."""
        news = [_append(self.given, given), reported in SCORES and _append(self.reported, str(reported))]
        if not any(news):
            return ""
        ours, theirs = (
            " -> ".join(values[-2:] if new else values[-1:]) or "nothing yet"
            for values, new in zip((self.given, self.reported), news, strict=True)
        )
        return f"{elapsed:3.0f} s  {self.name} {ours} (metrics: {theirs})"

    @property
    def same(self) -> bool:
        """Whether the metrics have followed each change."""
        return self.given == self.reported


class Seen:
    """The record of ratings."""

    def __init__(self) -> None:
        self.number: _Track = _Track("rating")
        self.template: _Track = _Track("template")

    def note(self, elapsed: float, ratings: Ratings, reported: Reported | None) -> list[str]:
        """Record the current ratings. Return a line for each change."""
        lines = [
            self.number.note(elapsed, ratings.rating, reported.rating if reported else None),
            self.template.note(elapsed, ratings.template, reported.template if reported else None),
        ]
        return [text for text in lines if text]

    @property
    def followed(self) -> bool:
        """Whether the metrics have followed each change."""
        return self.number.same and self.template.same

    def rows(self, truth: Truth, *, whole: bool = False) -> list[Row]:
        """Return the rows of the closing table. In a `whole` run the number must have fallen from GREEN to RED."""
        number, template = self.number, self.template
        agrees = number.same and (not whole or in_order(number.reported))
        return [
            Row(
                "ratings",
                _said(number.given),
                _said(number.reported),
                "the same, to RED" if whole else "the same",
                agrees,
            ),
            Row("template quality", _said(template.given), _said(template.reported), "the same", template.same),
            # WhatsApp never reports blocks to a business. The row explains the rows above.
            Row("blocks", f"{truth.blocked}", "-", "not reported", agrees=True),
        ]


def in_order(values: list[str]) -> bool:
    """Return whether GREEN, YELLOW and RED appeared in this order, with any values in between."""
    rest = iter(values)
    return all(wanted in rest for wanted in SCORES)


def _append(values: list[str], value: str) -> bool:
    if values[-1:] == [value]:
        return False
    values.append(value)
    return True


def _said(values: list[str]) -> str:
    return ", ".join(values) or "-"
