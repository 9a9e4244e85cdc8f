"""Ratings by the stand-in, based on the share of blocks among the customers that left.

Meta publishes neither its window nor its thresholds. The values here let a rating fall within a minute.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from chatvitals.simulator import payloads
from chatvitals.simulator.graph_api import TEMPLATE_NAME, number_row, template_row

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chatvitals.simulator.graph_api import GraphEdges
    from chatvitals.simulator.people import BusinessNumber

SCORES: Final = ("GREEN", "YELLOW", "RED")
"""Scores from the best to the worst."""
RECENT: Final = 20
"""How many of the last departures count."""
_FEWEST: Final = 8  # departures; with fewer, nothing is concluded
_YELLOW_SHARE, _RED_SHARE = 0.15, 0.3


def score(departures: Collection[bool]) -> str:
    """Return the score from the recent departures. True means that the customer blocked the number."""
    if len(departures) < _FEWEST:
        return SCORES[0]
    share = sum(departures) / len(departures)
    return SCORES[(share >= _YELLOW_SHARE) + (share >= _RED_SHARE)]


class Ratings:
    """Regular reviews of number and template, reported in WhatsApp's way.

    A review moves a score by at most one step. The template's score follows the customers. The number's score follows
    the template's previous score, so it falls one review later. The edges report both scores. A webhook reports changes
    of the template, but there is none for the number (whatsapp/README.md 4).

    Args:
        number: the business number.
        edges: the Graph edges whose rows are updated.
        departures: the customers that left lately. True means that the customer blocked the number.
        every: seconds between two reviews.
        tell: function that sends the body of a webhook.
        clock: function that returns the time of webhooks, in Unix seconds.

    """

    def __init__(
        self,
        number: BusinessNumber,
        edges: GraphEdges,
        *,
        departures: Collection[bool],
        every: float,
        tell: Callable[[bytes], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.rating: str = SCORES[0]
        """The score of the number."""
        self.template: str = SCORES[0]
        """The score of the template."""
        self._number = number
        self._edges = edges
        self._departures = departures
        self._every = every
        self._tell = tell
        self._clock = clock
        self._next = every

    def look(self, elapsed: float) -> None:
        """Review if it is time, `elapsed` seconds after the start. It may be called at any rate."""
        if elapsed < self._next:
            return
        self._next += self._every
        before = self.template
        self.rating = _step(self.rating, before)
        self.template = _step(before, score(self._departures))
        self._edges.numbers = [number_row(self._number, self.rating)]
        self._edges.templates = [template_row(TEMPLATE_NAME, self.template)]
        if self.template != before:
            row, at = self._edges.templates[0], self._clock()
            self._tell(payloads.template_quality(self._number, row, previous=before, at=at))


def _step(now: str, aim: str) -> str:
    """Return the score next to `now` on the way to `aim`."""
    here, there = SCORES.index(now), SCORES.index(aim)
    return SCORES[here + (there > here) - (there < here)]
