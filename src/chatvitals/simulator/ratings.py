"""The stand-in's judgement: how many of the customers who left have blocked the number, and what follows from it.

Meta publishes neither its window nor its thresholds; these make a minute long enough to watch a rating fall.
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
"""From the best to the worst."""
RECENT: Final = 20
"""How many of the customers who left last count."""
_FEWEST: Final = 8  # of fewer nothing is concluded
_YELLOW_SHARE, _RED_SHARE = 0.15, 0.3


def score(departures: Collection[bool]) -> str:
    """Return the score that customers give who left lately; True stands for one who blocked the number."""
    if len(departures) < _FEWEST:
        return SCORES[0]
    share = sum(departures) / len(departures)
    return SCORES[(share >= _YELLOW_SHARE) + (share >= _RED_SHARE)]


class Ratings:
    """Rates number and template at regular reviews, and tells of it as WhatsApp does.

    A review moves a score by one step at most. The template's goes towards what customers say, the number's towards
    what the template's was before: it falls one review later. The edges tell of both; of the template's changes there
    is a webhook too, of the number's there is none (whatsapp/README.md 4).

    Args:
        number: whom it is about.
        edges: the Graph edges, whose rows it writes.
        departures: the customers who left lately; True stands for one who blocked the number.
        every: seconds between two reviews.
        tell: takes the body of a webhook.
        clock: gives the time of webhooks, Unix seconds.

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
        self.rating = SCORES[0]
        """The number's."""
        self.template = SCORES[0]
        """The template's."""
        self._number = number
        self._edges = edges
        self._departures = departures
        self._every = every
        self._tell = tell
        self._clock = clock
        self._next = every

    def look(self, elapsed: float) -> None:
        """Review if it is time, `elapsed` seconds after the start; may be called as often as one likes."""
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
