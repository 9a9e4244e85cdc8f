"""Eight drivers before a fall: what moves is found, and chance is seldom taken for a move."""

from __future__ import annotations

import numpy as np
import pytest

from chatvitals.analysis import drivers
from chatvitals.analysis.figures import FigureReader
from chatvitals.analysis.history import DAY, HOUR, Counts, Grid

NUMBER = "1055"
DAYS = 16


def counts(values: np.ndarray, by: tuple[str, ...] = (), **labels: str) -> dict[tuple[str, ...], list[float]]:
    """Return one series of growth from counts by day."""
    return {(NUMBER, *(labels[name] for name in by)): [0.0, *values.cumsum().tolist()]}


def reader(random: np.random.Generator, *, late_on: int = -1, campaigns_on: int = -1, days: int = DAYS) -> FigureReader:
    """Return counters of a number by day. On one of the days half of the turns are late, or campaigns tripled."""
    over = Grid(0.0, DAY, days + 2)
    made = FigureReader.__new__(FigureReader)
    size = days + 1
    turns, delivered = random.poisson(600, size), random.poisson(1100, size)
    late = random.binomial(turns, 0.015)
    campaigns = random.poisson(115, size)
    if late_on >= 0:
        late[late_on] = turns[late_on] // 3
    if campaigns_on >= 0:
        campaigns[campaigns_on] *= 3
    one = ("phone_number_id",)
    made.opened, made.overdue = (Counts(over, one, counts(values)) for values in (turns, late))
    made.fallbacks = Counts(over, one, counts(random.binomial(turns, 0.05)))
    made.opt_outs = Counts(over, one, counts(random.binomial(delivered, 0.001)))
    made.failures = Counts(over, one, counts(random.binomial(delivered, 0.004)))
    made.ended = Counts(over, (*one, "outcome"), counts(random.poisson(0.4, size), ("outcome",), outcome="unanswered"))
    made.started = Counts(over, (*one, "journey"), counts(np.full(size, 200), ("journey",), journey="order"))
    done = random.binomial(np.full(size, 200), 0.55)
    made.runs = Counts(
        over, (*one, "journey", "outcome"), counts(done, ("journey", "outcome"), journey="order", outcome="completed")
    )
    by = ("status", "category")
    made.statuses = Counts(
        over,
        (*one, *by),
        counts(delivered, by, status="delivered", category="marketing")
        | counts(delivered, by, status="sent", category="marketing")
        | counts(random.binomial(delivered, 0.7), by, status="read", category="marketing"),
    )
    made.sends = Counts(over, (*one, "kind"), counts(campaigns, ("kind",), kind="campaign"))
    return made


def moved(found: list[drivers.Moved]) -> set[str]:
    return {each.driver for each in found if each.verdict.startswith(("moved up", "moved down"))}


def test_what_moved_before_the_fall_is_named_alone() -> None:
    """A third of the turns was late on the last day. Nothing else differed."""
    found = drivers.moved(reader(np.random.default_rng(1), late_on=DAYS - 1), NUMBER, DAYS * DAY, 0.0)
    assert len(found) == 8
    assert moved(found) == {"over a minute"}
    first = found[0]
    assert (first.verdict, first.rank, first.windows) == ("moved up", 1, DAYS)


def test_a_move_long_before_the_fall_is_not_taken_for_one() -> None:
    found = drivers.moved(reader(np.random.default_rng(2), late_on=4), NUMBER, DAYS * DAY, 0.0)
    assert "over a minute" not in moved(found)


def test_a_campaign_three_times_as_large_is_named() -> None:
    found = drivers.moved(reader(np.random.default_rng(3), campaigns_on=DAYS - 1), NUMBER, DAYS * DAY, 0.0)
    assert "campaign volume" in moved(found)


def test_chance_is_seldom_taken_for_a_move() -> None:
    """Of 200 quiet histories few name any of the eight."""
    random = np.random.default_rng(4)
    named = sum(bool(moved(drivers.moved(reader(random), NUMBER, DAYS * DAY, 0.0))) for _ in range(200))
    assert named / 200 <= 0.05


def test_weeks_are_compared_once_three_are_known() -> None:
    """Seven days hold each weekday once."""
    assert drivers.window_seconds(20.9) == DAY
    assert drivers.window_seconds(21.0) == 7 * DAY
    found = drivers.moved(reader(np.random.default_rng(5), days=40), NUMBER, 40 * DAY, 0.0)
    assert found[0].windows == 1 + 40 - 7 - 7 + 1


@pytest.mark.parametrize(("known", "measured"), [(5, False), (25, True)])
def test_a_share_of_unanswered_turns_waits_until_it_is_known(known: int, *, measured: bool) -> None:
    """Turns end unanswered a day after their last message, so a share of the last hours is too low."""
    made = reader(np.random.default_rng(7))
    by, per_hour = made.ended.by, [index / 50 for index in range(DAYS * 24 + known + 1)]
    made.ended = Counts(Grid(0.0, HOUR, len(per_hour)), by, {(NUMBER, "unanswered"): per_hour})
    found = drivers.moved(made, NUMBER, DAYS * DAY, 0.0)[1]
    assert (found.driver, found.verdict == "not measured") == ("no answer", not measured)


def test_messages_that_only_failed_are_messages() -> None:
    """A number that cannot send at all gets no status `sent`."""
    made = reader(np.random.default_rng(8))
    made.statuses = Counts(made.statuses.grid, made.statuses.by, {})
    found = {each.driver: each for each in drivers.moved(made, NUMBER, DAYS * DAY, 0.0)}
    assert found["failed messages"].value == 1


@pytest.mark.parametrize("days", [0, 1, 2])
def test_too_little_history_names_nothing(days: int) -> None:
    found = drivers.moved(reader(np.random.default_rng(6), late_on=DAYS - 1), NUMBER, DAYS * DAY, (DAYS - days) * DAY)
    assert moved(found) == set()
