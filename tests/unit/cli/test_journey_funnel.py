"""The funnel of a journey as text: bars, columns, branches and medians."""

from __future__ import annotations

import math

import pytest

from chatvitals.cli.journeys import Funnel, StepCounts, funnels, lines
from chatvitals.exporters.scrape import Sample

ROME = "100"


def _step(name: str, **counts: float) -> list[Sample]:
    labels = {"phone_number_id": ROME, "journey": "order", "step": name}
    return [Sample(f"chatvitals_journey_{family}", labels, value) for family, value in counts.items()]


SMALL = [
    Sample("chatvitals_journey_runs_started_total", {"journey": "order"}, 40.0),
    Sample("chatvitals_journey_runs_total", {"journey": "order", "outcome": "completed"}, 10.0),
    Sample("chatvitals_journey_runs_total", {"journey": "order", "outcome": "abandoned_by_user"}, 17.0),
    Sample("chatvitals_journey_runs_total", {"journey": "order", "outcome": "abandoned_by_business"}, 3.0),
    *_step("paid", step_reached_total=10, step_ended_total=10),
    *_step("menu", step_reached_total=40, step_ended_total=30, runs_open=10, runs_stalled=4),
    *_step("item", step_reached_total=20, step_ended_total=20),
    *[
        Sample(sample.name, {**sample.labels, "outcome": outcome}, sample.value)
        for name, outcome, count in (
            ("menu", "abandoned_by_user", 9),
            ("menu", "abandoned_by_business", 1),
            ("item", "abandoned_by_user", 8),
            ("item", "abandoned_by_business", 2),
        )
        for sample in _step(name, step_dropped_total=count)
    ],
    *[
        Sample("chatvitals_journey_step_info", {"journey": "order", "step": step, "index": str(index)}, 1.0)
        for index, step in enumerate(("menu", "item", "paid"), 1)
    ],
]


# What is shown


def test_a_funnel_is_one_bar_per_step() -> None:
    """Reached, share of the first step, drop-off among ended runs, median, open, stalled, and where most are lost."""
    assert lines(funnels(SMALL)[0], width=72) == [
        "order: 40 runs started, 10 completed, 17 abandoned by the customer,",
        "  3 abandoned waiting for us, 10 open (4 stalled)",
        "",
        "step  reached                  of first  drop-off  median  open  stalled",
        "menu       40  ██████████████      100%       33%       -    10        4",
        "item       20  ███████              50%       50%       -     0        0",
        "paid       10  ███▌                 25%        0%       -     0        0",
        "",
        "Most runs are lost at item: 10 of 20 ended, 2 of them waiting for an",
        "  answer.",
    ]


def test_bars_are_hashes_where_blocks_cannot_be_shown() -> None:
    """The same table in ASCII."""
    text = "\n".join(lines(funnels(SMALL)[0], width=72, blocks=False))
    assert text.isascii()
    assert "menu       40  ##############      100%" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_funnel_fits_its_terminal(width: int) -> None:
    """No line of the table is wider than the terminal."""
    assert max(map(len, lines(funnels(SMALL)[0], width=width))) <= width


def _moves(*moves: tuple[str, str, float]) -> list[Sample]:
    name = "chatvitals_journey_transitions_total"
    return [Sample(name, {"journey": "order", "from_step": a, "to_step": b}, count) for a, b, count in moves]


def test_at_60_columns_the_bars_go_first() -> None:
    """The numbers stay."""
    assert lines(funnels(SMALL)[0], width=60)[4:7] == [
        "step  reached  of first  drop-off  median  open  stalled",
        "menu       40      100%       33%       -    10        4",
        "item       20       50%       50%       -     0        0",
    ]


def test_long_names_take_the_place_of_other_columns() -> None:
    """24 characters of a name, and still no line is too wide."""
    long = _step("a" * 40, step_reached_total=123_456, step_ended_total=123_456)
    started = Sample("chatvitals_journey_runs_started_total", {"journey": "order"}, 123_456.0)
    assert max(map(len, lines(funnels([*long, started])[0], width=60))) <= 60


def test_branches_are_drawn_as_branches() -> None:
    """Delivery or pickup: nobody goes from one to the other, and both follow the choice of a pizza."""
    steps = ("menu", "item", "address", "pickup", "paid")
    told = [
        Sample("chatvitals_journey_step_info", {"journey": "order", "step": step, "index": str(index)}, 1.0)
        for index, step in enumerate(steps)
    ]
    reached = [sample for step in steps for sample in _step(step, step_reached_total=9)]
    moves = _moves(
        ("start", "menu", 100), ("menu", "item", 90), ("item", "address", 50), ("item", "pickup", 30),
        ("address", "paid", 40), ("pickup", "paid", 20), ("address", "pickup", 1), ("paid", "item", 2),
    )  # fmt: skip
    started = Sample("chatvitals_journey_runs_started_total", {"journey": "order"}, 100.0)
    funnel = funnels([started, *told, *reached, *moves])[0]
    table = lines(funnel, width=60)[2:8]
    assert [text.split("  ")[0].strip() for text in table] == ["step", "menu", "item", "├ address", "└ pickup", "paid"]
    assert lines(funnel, width=60, blocks=False)[5].startswith("|- address")


def test_a_straight_journey_has_no_branch() -> None:
    """Also where some jump over a step."""
    moves = _moves(("start", "menu", 40), ("menu", "item", 20), ("menu", "paid", 5), ("item", "paid", 10))
    assert "├" not in "\n".join(lines(funnels([*SMALL, *moves])[0]))


def test_runs_that_began_elsewhere_are_explained() -> None:
    """A link in a template may lead to the middle of a journey."""
    moves = _moves(("start", "menu", 30), ("start", "item", 8), ("start", "paid", 2), ("menu", "item", 12))
    text = " ".join(" ".join(lines(funnels([*SMALL, *moves])[0], width=60)).split())
    assert "Not all runs began at menu: 8 at item, 2 at paid." in text
    assert "Not all runs" not in " ".join(lines(funnels(SMALL)[0]))


def test_a_journey_without_runs_is_one_line() -> None:
    """A declared journey without runs is named."""
    assert lines(Funnel("order")) == ["order: no runs yet"]


def test_names_cannot_steer_the_terminal() -> None:
    """Names of an unknown server may hold control characters. They are not printed."""
    found = [Sample("chatvitals_journey_runs_started_total", {"journey": "a\x1b[2Jb"}, 1.0)]
    found += [Sample("chatvitals_journey_step_reached_total", {"journey": "a\x1b[2Jb", "step": "\x07" * 40}, 1.0)]
    assert all(text.isprintable() for text in lines(funnels(found)[0]))


# The numbers of a step


def _timed(*buckets: tuple[float, int], total: float) -> StepCounts:
    step = StepCounts("menu", seconds=total)
    step.buckets.update(dict(buckets))
    return step


def test_the_median_is_interpolated_in_its_bucket() -> None:
    """Of ten, the fifth lies three quarters up the bucket from 2 to 4 s."""
    assert _timed((2.0, 2), (4.0, 6), (math.inf, 10), total=60.0).median == 3.5


def test_the_median_of_instants_is_none_of_the_bucket_s_middle() -> None:
    """A step that completes takes no time, whatever the width of the lowest bucket."""
    assert _timed((0.5, 10), (math.inf, 10), total=0.0).median == 0.0


def test_a_median_above_the_last_bucket_is_said_to_be_above_it() -> None:
    """Nothing finite is made up."""
    step = _timed((14400.0, 1), (math.inf, 10), total=1e6)
    assert step.median == math.inf
    found = Funnel("order", started=10, known={"menu": step})
    assert "> 4 h" in lines(found)[3]


def test_nothing_timed_has_no_median_and_nothing_ended_no_drop_off() -> None:
    """Unknown is a dash, not 0."""
    assert StepCounts("menu").median is None
    assert StepCounts("menu").drop_off is None
    assert StepCounts("menu", ended=8).drop_off == 0.0
