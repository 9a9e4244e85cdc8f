"""Changes of a number's rating, grouped in episodes. An episode lasts from the first fall until the rating is back."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from chatvitals.analysis.history import Grid
    from chatvitals.analysis.numbers import Number
    from chatvitals.analysis.prometheus_api import PrometheusApi

RATINGS: Final = {3: "GREEN", 2: "YELLOW", 1: "RED", 0: "UNKNOWN"}


@dataclass(frozen=True, slots=True)
class RatingChange:
    """A change of a rating, at a time in Unix seconds."""

    at: float
    before: str
    after: str


@dataclass(slots=True)
class Episode:
    """A number whose rating fell, with all changes until the rating was as good as before.

    Args:
        number: the business number.
        changes: the changes, with the fall first.
        back: when the rating was as good as before. None where that has not happened yet.

    """

    number: Number
    changes: list[RatingChange] = field(default_factory=list)
    back: float | None = None

    @property
    def at(self) -> float:
        """The time of the first fall, in Unix seconds."""
        return self.changes[0].at


def episodes(api: PrometheusApi, numbers: list[Number], over: Grid) -> list[Episode]:
    """Return all episodes, the latest last. An unknown rating counts neither as better nor as worse."""
    found = []
    for number, points in ratings(api, numbers, over):
        open_episode: Episode | None = None
        level = 0
        for (_, before), (at, after) in pairwise(points):
            if before == after:
                continue
            change = RatingChange(at, RATINGS[before], RATINGS[after])
            if open_episode is None:
                if after < before:
                    open_episode, level = Episode(number, [change]), before
                    found.append(open_episode)
                continue
            open_episode.changes.append(change)
            if after >= level:
                open_episode.back, open_episode = at, None
    return sorted(found, key=lambda episode: episode.at)


def ratings(api: PrometheusApi, numbers: list[Number], over: Grid) -> list[tuple[Number, list[tuple[float, int]]]]:
    """Return the known ratings of each number over time, from 1 for RED to 3 for GREEN."""
    query = f"max by (phone_number_id) ({catalogue.QUALITY_RATING.name})"
    found = {
        series.labels.get(catalogue.NUMBER, ""): [(at, round(value)) for at, value in series.points if value > 0]
        for series in api.query_range(query, over.start, over.end, over.step)
    }
    return [(number, found[number.id]) for number in numbers if found.get(number.id)]
