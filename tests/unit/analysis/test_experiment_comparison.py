"""What may be concluded from an experiment, and what not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from chatvitals.analysis import experiment_counts, experiment_report
from chatvitals.analysis.errors import TooLittleDataError, WrongNameError
from chatvitals.analysis.experiment_comparison import judge
from chatvitals.analysis.experiment_counts import ExperimentCounts, VariantCounts
from chatvitals.exporters import scrape
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.exporters.scrape import Sample


def variant(name: str, contacts: int, goal: int, **outcomes: int) -> VariantCounts:
    return VariantCounts(name, contacts, {"goal": goal, **outcomes})


def said(counts: ExperimentCounts) -> str:
    return experiment_report.document(judge(counts)).verdict


def test_a_clear_difference_is_better() -> None:
    counts = ExperimentCounts("greeting", [variant("plain", 3000, 1500), variant("emoji", 3000, 1700)])
    assert judge(counts).verdict == "better"
    assert said(counts).startswith("BETTER. emoji reaches the goal more often: +6.7 points")


def test_a_clear_loss_is_worse() -> None:
    counts = ExperimentCounts("greeting", [variant("plain", 3000, 1700), variant("emoji", 3000, 1500)])
    assert said(counts).startswith("WORSE. emoji reaches the goal less often than plain. You may stop and keep plain.")


def test_the_simulated_month_has_no_conclusion() -> None:
    """Its simple test says p = 0.03."""
    counts = ExperimentCounts("greeting", [variant("plain", 2858, 1467), variant("emoji", 2807, 1522)], days=29.0)
    counts.daily = [{"plain": (2858, 1467), "emoji": (2807, 1522)}]
    result = judge(counts)
    assert result.verdict == "no conclusion"
    assert result.naive[-1] == pytest.approx(0.03, abs=0.005)
    assert result.against[0].needed == pytest.approx(11_000, rel=0.02)
    assert "do not stop for a winner now" in said(counts)
    assert "27 days at 195 a day" in said(counts) or "28 days at 195 a day" in said(counts)


def test_a_small_interval_rules_a_difference_out() -> None:
    counts = ExperimentCounts("greeting", [variant("plain", 90_000, 45_000), variant("emoji", 90_000, 45_010)])
    assert judge(counts, planned=180_000).verdict == "no difference"
    assert judge(counts, planned=180_000, margin=0.001).verdict == "no conclusion"


def test_a_broken_split_concludes_nothing() -> None:
    counts = ExperimentCounts("greeting", [variant("plain", 3000, 1500), variant("emoji", 3400, 2600)])
    assert judge(counts).verdict == "split broken"
    assert said(counts).startswith("NO CONCLUSION POSSIBLE.")


def test_weights_decide_what_a_right_split_is() -> None:
    shares = [variant("plain", 3000, 1500), variant("emoji", 1000, 520)]
    shares[0].weight = 3.0
    assert judge(ExperimentCounts("greeting", shares)).split > 0.5


def test_harm_is_named_whatever_the_goal() -> None:
    counts = ExperimentCounts(
        "greeting", [variant("plain", 3000, 1500, opt_out=30), variant("emoji", 3000, 1700, opt_out=150)]
    )
    rail = judge(counts).against[0].guardrails[0]
    assert rail.worse
    assert "But it is worse in: opt-outs" in said(counts)


@pytest.mark.parametrize(("contacts", "opt_outs", "usual"), [(900, 36, 100), (1800, 31, 200), (5400, 30, 600)])
def test_a_small_control_without_opt_outs_shows_no_harm(contacts: int, opt_outs: int, usual: int) -> None:
    """In 2 to 5 of 100 experiments of equal variants a control has none by chance."""
    counts = ExperimentCounts("x", [variant("a", usual, 0, opt_out=0), variant("b", contacts, 0, opt_out=opt_outs)])
    assert not judge(counts).against[0].guardrails[0].worse


def test_several_variants_are_adjusted() -> None:
    """A difference that would just do alone does not do among four."""
    alone = [variant("a", 3000, 1500), variant("b", 3000, 1621)]
    assert judge(ExperimentCounts("x", alone)).verdict == "better"
    among = [*alone, *(variant(name, 3000, 1500) for name in "cdef")]
    assert judge(ExperimentCounts("x", among)).verdict == "no conclusion"


def test_unanswered_waits_are_the_longest() -> None:
    plain, emoji = variant("plain", 1000, 500), variant("emoji", 1000, 500)
    plain.waits = {5.0: 900.0, math.inf: 100.0}
    emoji.waits = {5.0: 500.0, math.inf: 500.0}
    assert judge(ExperimentCounts("x", [plain, emoji])).against[0].waits.low > 0
    plain.waits = {bound: count * 400 for bound, count in {5.0: 51.0, math.inf: 49.0}.items()}
    emoji.waits = {bound: count * 400 for bound, count in {5.0: 49.0, math.inf: 51.0}.items()}
    assert judge(ExperimentCounts("x", [plain, emoji])).against[0].waits.direction == 0  # 40 turns of each contact


def test_a_dozen_contacts_conclude_nothing() -> None:
    counts = ExperimentCounts("x", [variant("a", 20, 0), variant("b", 20, 20)])
    assert judge(counts).verdict == "no conclusion"
    assert "at least 50 contacts" in said(counts)


def samples() -> Iterable[Sample]:
    """Return what a bot shows that has declared an experiment and exposed some contacts."""
    clock = FakeClock(1_700_000_000.0)
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, environ={}), clock=clock, background=False)
    order = vitals.journey("order", ["menu", "paid"], completed_by="paid")
    greeting = vitals.experiment("greeting", {"plain": 3, "emoji": 1}, goal=order, planned_contacts=900)
    for person in range(40):
        greeting.variant(contact=f"1555000{person:04d}", phone_number_id="1055")
    clock.now += 60
    vitals._pipeline.drain()
    found = [
        scrape.Sample(sample.name, dict(sample.labels), sample.value)
        for family in vitals.collector.collect()
        for sample in family.samples
    ]
    vitals.close()
    return found


def test_a_bot_declares_control_weights_goal_and_size() -> None:
    counts = experiment_counts.from_samples(samples(), "greeting")
    assert [(each.name, each.weight) for each in counts.variants] == [("plain", 3.0), ("emoji", 1.0)]
    assert (counts.goal, counts.planned, counts.contacts) == ("order", 900, 40)
    chosen = experiment_counts.from_samples(samples(), "greeting", control="emoji")
    assert chosen.variants[0].name == "emoji"


def test_wrong_names_say_which_there_are() -> None:
    with pytest.raises(WrongNameError, match="There are: greeting"):
        experiment_counts.from_samples(samples(), "greetings")
    with pytest.raises(WrongNameError, match="It has: emoji, plain"):
        experiment_counts.from_samples(samples(), "greeting", control="none")
    with pytest.raises(TooLittleDataError, match="No contact has seen a variant"):
        experiment_counts.from_samples((sample for sample in samples() if "_weight" in sample.name), "greeting")
