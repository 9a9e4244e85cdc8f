"""How customers order: known rates, fixed seeds, and a diary in the shape of the funnel."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from chatvitals.demo import comparison, order_flow
from chatvitals.demo.ground_truth import Truth
from chatvitals.demo.order_flow import Move, Progress, Walk, plan
from chatvitals.demo.scenarios import CALM, OUTAGE, SLOW

MANY = 4000


@pytest.fixture(scope="module")
def plans() -> list[Walk]:
    """The plans of many customers."""
    rng = random.Random(5)
    return [plan(rng) for _ in range(MANY)]


def _moves(walk: Walk, seed: int = 1) -> list[Move]:
    return list(walk.moves(random.Random(seed)))


def test_a_seed_fixes_a_walk() -> None:
    """The same seed plans the same walk, with the same words."""
    assert plan(random.Random(3)) == plan(random.Random(3))
    walk = Walk(picks_up=False, lost={"item": 2}, leaves_at="paid")
    assert _moves(walk, 3) == _moves(walk, 3)
    assert _moves(walk, 3) != _moves(walk, 4)


def test_customers_take_the_branch_at_its_rate(plans: list[Walk]) -> None:
    """Three in ten pick their order up."""
    assert sum(walk.picks_up for walk in plans) / MANY == pytest.approx(order_flow.PICK_UP, abs=0.03)


@pytest.mark.parametrize("step", order_flow.STEPS[:-1])
def test_customers_get_lost_and_leave_at_the_rates_of_the_step(step: str, plans: list[Walk]) -> None:
    """The known shares of the customers at a step get lost there or leave there."""
    there = [walk for walk in plans if step in walk.steps]
    assert sum(step in walk.lost for walk in there) / len(there) == pytest.approx(order_flow.LOST[step], abs=0.05)
    assert sum(walk.leaves_at == step for walk in there) / len(there) == pytest.approx(
        order_flow.LEAVES[step], abs=0.05
    )


def test_a_walk_goes_from_step_to_step_and_ends_where_it_is_planned_to() -> None:
    """Getting lost stays at the step. The branch takes the place of the address."""
    walk = Walk(picks_up=True, lost={"item": 2}, leaves_at="payment")
    assert [move.step for move in _moves(walk)] == ["menu", "item", "item", "item", "pickup", "payment"]
    assert walk.steps == ("menu", "item", "pickup", "payment")
    assert Walk(picks_up=False, lost={}, leaves_at="paid").steps == ("menu", "item", "address", "payment", "paid")


def test_choices_are_tapped_or_typed() -> None:
    """Buttons and list rows come as interactive replies, a share of them as texts. An address is always a text."""
    kinds: dict[str, Counter[str]] = {step: Counter() for step in order_flow.STEPS}
    for seed in range(200):
        for move in _moves(Walk(picks_up=False, lost={}, leaves_at="paid"), seed):
            for content in move.contents:
                kinds[move.step][content.get("interactive", content)["type"]] += 1
    assert set(kinds["menu"]) == set(kinds["payment"]) == {"text"}
    assert set(kinds["item"]) == set(kinds["paid"]) == {"button_reply", "text"}
    assert set(kinds["address"]) == {"list_reply", "text"}
    assert kinds["item"]["text"] / 200 == pytest.approx(order_flow.TYPED, abs=0.1)


def test_the_diary_counts_as_the_funnel_does() -> None:
    """Reached once per run and step, visits always, a loop at the third visit, stopped at the last step only."""
    progress = Progress()
    stayed = [progress.entered("ada", step) for step in ("menu", "item", "item", "item", "item", "address")]
    assert stayed == [False, False, True, True, True, False]
    assert (progress.reached["item"], progress.visits["item"], progress.loops["item"]) == (1, 4, 1)
    assert +progress.stopped == {"address": 1}
    assert progress.completed == 0


def test_a_completed_order_stops_nowhere_and_the_next_message_begins_another() -> None:
    """Paid is the end of a run. The same customer may begin a second one."""
    progress = Progress()
    for step in ("menu", "item", "pickup", "payment", "paid", "menu"):
        progress.entered("ada", step)
    assert progress.completed == 1
    assert progress.reached["menu"] == 2
    assert +progress.stopped == {"menu": 1}
    assert progress.people == {"ada"}


def test_whatever_customers_do_runs_are_conserved(plans: list[Walk]) -> None:
    """Runs that reached the menu have been completed or stopped at some step."""
    progress = Progress()
    for who, walk in enumerate(plans):
        for move in _moves(walk, who):
            for _ in move.contents:
                progress.entered(str(who), move.step)
    assert progress.reached["menu"] == MANY == progress.completed + progress.stopped.total()
    assert min(progress.stopped.values()) >= 0


def test_samples_add_up_to_the_same_shape() -> None:
    """Dropped and open runs both stopped at their step. Other journeys and other families are passed over."""
    progress = Progress()
    here = {"journey": "order", "step": "item"}
    progress.add("journey_step_reached_total", here, 7.0)
    progress.add("journey_step_visits_total", here, 9.0)
    progress.add("journey_step_loops_total", here, 1.0)
    progress.add("journey_step_dropped_total", {**here, "outcome": "abandoned_by_user"}, 2.0)
    progress.add("journey_step_dropped_total", {**here, "outcome": "abandoned_by_business"}, 1.0)
    progress.add("journey_runs_open", here, 3.0)
    progress.add("journey_runs_total", {"journey": "order", "outcome": "completed"}, 4.0)
    progress.add("journey_runs_total", {"journey": "order", "outcome": "expired"}, 5.0)
    progress.add("journey_step_reached_total", {"journey": "booking", "step": "item"}, 100.0)
    progress.add("turns_open", {}, 100.0)
    assert (progress.reached["item"], progress.visits["item"], progress.loops["item"]) == (7, 9, 1)
    assert (progress.stopped["item"], progress.completed) == (6, 4)


def test_a_run_that_the_metrics_miss_disagrees_by_step() -> None:
    """Each step is a row, exact, with both sides' counts."""
    truth = Truth()
    truth.order.entered("ada", "menu")
    truth.order.entered("ada", "item")
    told = 'chatvitals_journey_{}{{journey="order",step="menu"}} 1\n'
    reported = comparison.parse("".join(told.format(name) for name in ("step_reached_total", "step_visits_total")))
    rows = {row.name: row for row in comparison.compare(truth, reported)}
    assert rows["order: menu"].agrees
    assert not rows["order: item"].agrees
    assert (rows["order: item"].measured, rows["order: item"].reported) == (
        "1 / 1 / 1",
        "0 / 0 / 0",
    )
    assert not rows["greeting"].agrees


def test_an_order_is_abandoned_only_after_longer_than_anyone_there_is_silent() -> None:
    """Where nothing gets lost the bot's longest thinking counts, else the customers' patience."""
    assert order_flow.longest_silence(CALM) == 1.5 + 2.0 + 5.0
    assert order_flow.longest_silence(SLOW) == order_flow.longest_silence(OUTAGE) == 8.0 + 2.0 + 5.0
