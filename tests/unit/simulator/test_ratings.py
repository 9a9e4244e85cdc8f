"""Ratings of the stand-in in the demo and in the simulated month, and the diary of observed ratings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatvitals.demo.comparison import Reported
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.rating_timeline import Seen, in_order
from chatvitals.simulator.graph_api import GraphEdges
from chatvitals.simulator.people import BusinessNumber
from chatvitals.simulator.platform import Score
from chatvitals.simulator.ratings import Ratings, score

NUMBER = BusinessNumber()


@pytest.mark.parametrize(
    ("blocked", "left", "expected"),
    [(7, 7, "GREEN"), (0, 20, "GREEN"), (2, 20, "GREEN"), (3, 20, "YELLOW"), (5, 20, "YELLOW"), (6, 20, "RED")],
)
def test_the_score_follows_the_share_who_blocked(blocked: int, left: int, expected: str) -> None:
    """Of few customers nothing is concluded."""
    assert score([True] * blocked + [False] * (left - blocked)) == expected


class Rated:
    """A number that is reviewed every 5 s, and the webhooks about it."""

    def __init__(self) -> None:
        self.departures: list[bool] = []
        self.edges = GraphEdges("token")
        self.webhooks: list[Any] = []
        self.ratings = Ratings(
            NUMBER,
            self.edges,
            departures=self.departures,
            every=5.0,
            tell=lambda body: self.webhooks.append(json.loads(body)),
            clock=lambda: 1_795_392_000.0,
        )

    def look(self, elapsed: float) -> tuple[str, str]:
        """Return the ratings of number and template after a look, which the edges must show as well."""
        self.ratings.look(elapsed)
        shown = self.edges.numbers[0]["quality_rating"], self.edges.templates[0]["quality_score"]["score"]
        assert elapsed < 5.0 or shown == (self.ratings.rating, self.ratings.template)
        return self.ratings.rating, self.ratings.template


def test_the_template_falls_first_and_the_number_follows_step_by_step() -> None:
    """A review moves a score by one step. Only the template's changes come by webhook."""
    rated = Rated()
    rated.departures += [True] * 20
    assert [rated.look(elapsed) for elapsed in (4.0, 5.0, 6.0, 10.0, 15.0, 20.0)] == [
        ("GREEN", "GREEN"),
        ("GREEN", "YELLOW"),
        ("GREEN", "YELLOW"),
        ("YELLOW", "RED"),
        ("RED", "RED"),
        ("RED", "RED"),
    ]
    changes = [body["entry"][0]["changes"][0] for body in rated.webhooks]
    assert [change["field"] for change in changes] == ["message_template_quality_update"] * 2
    assert [change["value"]["new_quality_score"] for change in changes] == ["YELLOW", "RED"]
    rated.departures[:] = [False] * 20
    assert [rated.look(elapsed) for elapsed in (25.0, 30.0, 35.0)] == [
        ("RED", "YELLOW"),
        ("YELLOW", "GREEN"),
        ("GREEN", "GREEN"),
    ]


def test_a_score_of_the_month_does_not_flutter() -> None:
    """It falls at its limit and rises only once the share is clearly below."""
    rating = Score(yellow=0.04, red=0.1)
    seen = []
    for share in (0.03, 0.05, 0.11, 0.09, 0.06, 0.05, 0.03, 0.02):
        rating.review(share)
        seen.append(rating.now)
    assert seen == ["GREEN", "YELLOW", "RED", "RED", "YELLOW", "YELLOW", "YELLOW", "GREEN"]


def test_the_diary_says_what_is_new_on_either_side() -> None:
    """Each change once, and that the metrics followed."""
    rated, seen = Rated(), Seen()
    reported = Reported(rating="UNKNOWN", template="")
    assert seen.note(0.0, rated.ratings, reported) == [
        "  0 s  rating GREEN (metrics: nothing yet)",
        "  0 s  template GREEN (metrics: nothing yet)",
    ]
    reported.rating = reported.template = "GREEN"
    assert len(seen.note(1.0, rated.ratings, reported)) == 2
    assert seen.note(2.0, rated.ratings, reported) == []
    rated.departures += [True] * 20
    rated.look(5.0)
    assert seen.note(5.0, rated.ratings, reported) == ["  5 s  template GREEN -> YELLOW (metrics: GREEN)"]
    assert not seen.followed
    reported.template = "YELLOW"
    assert seen.note(6.0, rated.ratings, reported) == ["  6 s  template YELLOW (metrics: GREEN -> YELLOW)"]
    assert seen.followed


def test_a_number_that_did_not_fall_to_red_does_not_agree() -> None:
    """The table wants the whole story, and the metrics to have seen it."""
    rated, seen = Rated(), Seen()
    seen.note(0.0, rated.ratings, Reported(rating="GREEN", template="GREEN"))
    assert [row.agrees for row in seen.rows(Truth(), whole=True)] == [False, True, True]
    assert all(row.agrees for row in seen.rows(Truth()))  # of a run that somebody has ended nothing is asked
    assert in_order(["GREEN", "YELLOW", "GREEN", "YELLOW", "RED"])
    assert not in_order(["GREEN", "RED", "YELLOW"])
