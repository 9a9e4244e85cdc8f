"""Statistics on counts: against scipy and statsmodels, and the rates of error that analysis/README.md promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy  # which loads its parts when they are used
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.analysis import statistics
from chatvitals.analysis.statistics import ConfidenceSequence, Share, superiority

COUNTS = st.lists(st.integers(0, 40), min_size=2, max_size=15)
SHARES = st.integers(1, 400).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total)))


@pytest.fixture(scope="module")
def proportion() -> Any:
    """The part of statsmodels about shares."""
    from statsmodels.stats import proportion as found  # noqa: PLC0415 - statsmodels takes a second to import

    return found


@pytest.mark.slow
@given(SHARES)
def test_the_interval_of_a_share_is_wilsons(proportion: Any, given_share: tuple[int, int]) -> None:
    expected = proportion.proportion_confint(*given_share, method="wilson")
    assert statistics.wilson(Share(*given_share)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
@given(SHARES, SHARES)
def test_the_interval_of_a_difference_is_newcombes(
    proportion: Any, ours: tuple[int, int], other: tuple[int, int]
) -> None:
    found = statistics.newcombe(Share(*ours), Share(*other))
    expected = proportion.confint_proportions_2indep(*ours, *other, method="newcomb")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_the_simple_test_is_the_pooled_z_test(proportion: Any) -> None:
    found = statistics.z_test(Share(130, 1000), Share(100, 990))
    assert found == pytest.approx(proportion.proportions_ztest([130, 100], [1000, 990])[1])


@given(COUNTS, COUNTS)
def test_superiority_is_that_of_brunner_and_munzel(first: list[int], second: list[int]) -> None:
    first, second = first[: len(second)], second[: len(first)]
    found = superiority(first, second)
    if min(sum(first), sum(second)) < 2:
        assert math.isnan(found.value)
        return
    one, two = (np.repeat(np.arange(len(counts)), counts) for counts in (first, second))
    below = (one[:, None] < two).mean() + (one[:, None] == two).mean() / 2
    assert found.value == pytest.approx(below)
    if found.variance > 1.01 / (4 * len(one) * len(two)):
        expected = scipy.stats.brunnermunzel(one, two).statistic
        assert (found.value - 0.5) / math.sqrt(found.variance) == pytest.approx(expected)


@given(st.lists(st.integers(3, 20), min_size=4, max_size=6), st.lists(st.integers(3, 20), min_size=4, max_size=6))
def test_a_few_waits_are_judged_by_students_t(first: list[int], second: list[int]) -> None:
    """The interval excludes one half exactly where the test of scipy rejects."""
    first, second = first[: len(second)], second[: len(first)]
    one, two = (np.repeat(np.arange(len(counts)), counts) for counts in (first, second))
    p_value = scipy.stats.brunnermunzel(one, two).pvalue
    if not math.isclose(p_value, 0.05, rel_tol=0.01):
        assert (superiority(first, second).interval().direction != 0) == (p_value < 0.05)


def test_ten_waits_of_a_side_mislead_as_seldom_as_many_do() -> None:
    """With the normal distribution, 8 % of comparisons of 90 with 10 equal waits found a difference."""
    random, buckets = np.random.default_rng(12), np.array([0.01, 0.04, 0.15, 0.3, 0.25, 0.15, 0.06, 0.04])
    ours, others = random.multinomial(90, buckets, RUNS).tolist(), random.multinomial(10, buckets, RUNS).tolist()
    found = sum(superiority(a, b).interval().direction != 0 for a, b in zip(ours, others, strict=True))
    assert found / RUNS < 0.065


@given(st.lists(st.integers(0, 900), min_size=2, max_size=6))
def test_the_split_check_is_a_chi_squared_test(counts: list[int]) -> None:
    if sum(counts):
        weights = list(range(1, len(counts) + 1))
        expected = np.array(weights) * sum(counts) / sum(weights)
        assert statistics.split_check(counts, weights) == pytest.approx(scipy.stats.chisquare(counts, expected).pvalue)


def test_a_split_that_is_beyond_all_numbers_is_broken() -> None:
    """The statistic is infinite, and the p-value is a number all the same."""
    assert statistics.split_check([5, 5, 5], [1e-308, 1, 1]) == 0.0


def test_a_variant_that_nobody_should_get_breaks_the_split() -> None:
    assert statistics.split_check([100, 100, 3], [1, 1, 0]) == 0.0
    assert statistics.split_check([100, 100, 0], [1, 1, 0]) == 1.0
    assert statistics.split_check([100, 300], [1, 1]) < statistics.SPLIT_ALPHA


@pytest.mark.slow
@pytest.mark.parametrize(
    "p_values", [[0.04], [0.01, 0.01, 0.01], [0.2, 0.001, 0.03, 0.049, 0.0], [1.0, 0.9, 0.02, 0.024, 0.004, 0.03]]
)
def test_many_comparisons_are_adjusted_as_statsmodels_does(p_values: list[float]) -> None:
    from statsmodels.stats.multitest import multipletests  # noqa: PLC0415 - as above

    assert statistics.holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert statistics.benjamini_hochberg(p_values) == pytest.approx(multipletests(p_values, method="fdr_bh")[1])


def test_a_ratio_of_sums_has_the_spread_that_resampling_shows() -> None:
    random = np.random.default_rng(5)
    ended = random.poisson(1.4, 900) + 1
    completed = random.binomial(ended, random.beta(4, 4, 900))
    pairs = list(zip(completed.tolist(), ended.tolist(), strict=True))
    drawn = random.integers(0, 900, (2000, 900))
    resampled = completed[drawn].sum(axis=1) / ended[drawn].sum(axis=1)
    ratio, variance = statistics.ratio_variance(pairs)
    assert ratio == pytest.approx(completed.sum() / ended.sum())
    assert math.sqrt(variance) == pytest.approx(resampled.std(), rel=0.08)


def test_the_half_width_is_that_of_the_simulated_month() -> None:
    """5,665 contacts, planned 6,000: 4.03 points, and 10,900 contacts show a difference of 2.9."""
    sequence, plain, emoji = ConfidenceSequence(6000), Share(1467, 2858), Share(1522, 2807)
    found = sequence.difference(emoji, plain)
    assert (found.high - found.low) / 2 == pytest.approx(0.0403, abs=0.0002)
    needed = sequence.units_needed(0.029, 5665 * (plain.variance + emoji.variance))
    assert needed == pytest.approx(10_900, rel=0.02)


@given(st.integers(40, 3000), st.floats(0.02, 0.3))
def test_the_p_value_and_the_interval_agree(units: int, effect: float) -> None:
    sequence, variance = ConfidenceSequence(), 1.0 / units
    half = sequence.half_width(variance, units)
    assert (sequence.p_value(effect, variance, units) < 0.05) == (effect > half) or math.isclose(effect, half)


def test_three_contacts_conclude_nothing() -> None:
    assert ConfidenceSequence().difference(Share(2, 2), Share(0, 1)).direction == 0


@given(SHARES, SHARES)
def test_intervals_of_rare_differences_hold_their_value(ours: tuple[int, int], other: tuple[int, int]) -> None:
    one, two = Share(*ours), Share(*other)
    found, turned = ConfidenceSequence().rare_difference(one, two), ConfidenceSequence().rare_difference(two, one)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))


def test_rare_differences_of_nothing_are_unknown() -> None:
    found = ConfidenceSequence().rare_difference(Share(0, 0), Share(3, 50))
    assert math.isnan(found.value)
    assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.parametrize("share", [0.03, 0.1, 0.5])
def test_an_arcsine_interval_misses_a_share_equally_often_on_both_sides(share: float) -> None:
    """As often as a normal variable is beyond 2.5 standard deviations. All counts of 2,000 are summed exactly."""
    chances = scipy.stats.binom.pmf(np.arange(2001), 2000, share)
    lows, highs = np.array([statistics.arcsine(Share(count, 2000), 2.5) for count in range(2001)]).T
    expected = pytest.approx(scipy.stats.norm.sf(2.5), rel=0.6)
    assert chances[highs < share].sum() == expected
    assert chances[lows > share].sum() == expected


def test_a_robust_z_ignores_one_outlier() -> None:
    usual = [10.0, 11.0, 9.0, 10.0, 300.0]
    assert abs(statistics.robust_z(10.5, usual)) < 1
    assert statistics.robust_z(40.0, usual) > 10
    assert statistics.robust_z(40.0, [10.0, 10.0]) == math.inf
    assert statistics.robust_z(11.0, [10.0, 10.0], noise=2.0) == 0.5


# Rates of error, by simulation

RUNS, LOOKS = 2000, 30


def daily(random: np.random.Generator, share: float, *, contacts: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Return successes and contacts of one side at 30 daily looks, for all runs."""
    a_day = contacts // LOOKS
    return random.binomial(a_day, share, (RUNS, LOOKS)).cumsum(axis=1), np.arange(1, LOOKS + 1) * a_day


def concluded(ours: np.ndarray, other: np.ndarray, contacts: np.ndarray) -> float:
    """Return the share of runs in which the sequence concludes on any day."""
    sequence, looks, found = ConfidenceSequence(6000), contacts.tolist(), 0
    for run in zip(ours.tolist(), other.tolist(), strict=True):
        days = zip(*run, looks, strict=True)
        found += any(sequence.difference(Share(a, n), Share(b, n)).direction for a, b, n in days)
    return found / RUNS


def test_thirty_daily_looks_at_no_difference_seldom_mislead() -> None:
    """The z-test misleads in one of four runs, the sequence in fewer than one of twenty."""
    random = np.random.default_rng(1)
    (ours, contacts), (other, _) = daily(random, 0.5), daily(random, 0.5)
    pooled = (ours + other) / (2 * contacts)
    z = (ours - other) / contacts / np.sqrt(2 * pooled * (1 - pooled) / contacts)
    assert 0.2 < np.mean((np.abs(z) > 1.96).any(axis=1)) < 0.35
    assert concluded(ours, other, contacts) <= 0.05


def test_a_real_difference_of_five_points_is_found() -> None:
    """In four of five runs of the planned size."""
    random = np.random.default_rng(2)
    (ours, contacts), (other, _) = daily(random, 0.55), daily(random, 0.5)
    assert concluded(ours, other, contacts) >= 0.8


@pytest.mark.parametrize(("share", "part"), [(0.02, 0.9), (0.01, 0.8), (0.02, 0.1), (0.3, 0.5)])
def test_guardrails_raise_few_false_alarms_however_the_contacts_are_split(share: float, part: float) -> None:
    """In 30 daily looks at 10,000 contacts. With the variance of `difference`, a control of a tenth gave 6.8 %."""
    random, sequence = np.random.default_rng(9), ConfidenceSequence(alpha=0.1)
    (ours, contacts), (other, usual) = (
        daily(random, share, contacts=round(10_000 * each)) for each in (part, 1 - part)
    )
    looks, alarms = list(zip(contacts.tolist(), usual.tolist(), strict=True)), 0
    for run in zip(ours.tolist(), other.tolist(), strict=True):
        days = zip(*run, looks, strict=True)
        alarms += any(
            a / n > b / m and sequence.rare_difference(Share(a, n), Share(b, m)).low > 0 for a, b, (n, m) in days
        )
    assert alarms / RUNS < 0.035


def test_guardrails_of_a_small_variant_find_harm() -> None:
    """A tenth of 10,000 contacts has opt-outs of 2.5 % instead of 1 %. With `difference`, 62 % of the runs found it."""
    random, sequence, found = np.random.default_rng(10), ConfidenceSequence(alpha=0.1), 0
    (ours, contacts), (other, usual) = daily(random, 0.025, contacts=1000), daily(random, 0.01, contacts=9000)
    looks = list(zip(contacts.tolist(), usual.tolist(), strict=True))
    for run in zip(ours[:500].tolist(), other[:500].tolist(), strict=True):
        days = zip(*run, looks, strict=True)
        found += any(sequence.rare_difference(Share(a, n), Share(b, m)).low > 0 for a, b, (n, m) in days)
    assert found / 500 > 0.75


def test_contacts_are_the_unit_and_not_their_turns() -> None:
    """Customers differ in patience: testing their turns finds differences where there are none."""
    random = np.random.default_rng(3)
    per_turn = per_contact = 0
    for _ in range(1000):
        turns = random.poisson(6, 400) + 1
        slow = random.binomial(turns, random.beta(0.8, 2.4, 400))
        ours, other = slice(0, 200), slice(200, 400)
        sums = [Share(float(slow[side].sum()), float(turns[side].sum())) for side in (ours, other)]
        per_turn += statistics.z_test(*sums) < 0.05
        ratios = [
            statistics.ratio_variance(list(zip(slow[side].tolist(), turns[side].tolist(), strict=True)))
            for side in (ours, other)
        ]
        z = (ratios[0][0] - ratios[1][0]) / math.sqrt(ratios[0][1] + ratios[1][1])
        per_contact += statistics.p_of_z(z) < 0.05
    assert per_turn / 1000 > 0.2
    assert per_contact / 1000 < 0.075


def test_the_unanswered_stay_as_the_worst_rank() -> None:
    """A variant that leaves 15 % of the slow ones without an answer looks faster only when they are dropped."""
    random = np.random.default_rng(4)
    edges = np.array([0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, np.inf])
    dropped = kept = 0
    for _ in range(500):
        ours, other = (np.searchsorted(edges, random.lognormal(2.0, 1.2, 600)) for _ in range(2))
        slowest = ours >= np.quantile(ours, 0.85)
        ours_kept = np.where(slowest & (random.random(600) < 0.6), len(edges) - 1, ours)
        for name, sample in (("kept", ours_kept), ("dropped", ours_kept[ours_kept < len(edges) - 1])):
            one, two = (np.bincount(each, minlength=len(edges)).tolist() for each in (sample, other))
            faster = superiority(one, two).interval().low > 0
            kept += faster and name == "kept"
            dropped += faster and name == "dropped"
    assert dropped / 500 > 0.4
    assert kept / 500 < 0.05


def test_buckets_have_the_power_of_raw_waits() -> None:
    """Fifteen buckets find a shift as often as all waits do."""
    random = np.random.default_rng(6)
    edges = np.array([0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, np.inf])
    bucketed = raw = 0
    for _ in range(300):
        ours, other = random.lognormal(2.0, 1.2, 200), random.lognormal(2.3, 1.2, 200)
        one, two = (np.bincount(np.searchsorted(edges, each), minlength=len(edges)).tolist() for each in (ours, other))
        bucketed += superiority(one, two).interval().direction != 0
        raw += scipy.stats.brunnermunzel(ours, other).pvalue < 0.05
    assert abs(bucketed - raw) / 300 < 0.06
