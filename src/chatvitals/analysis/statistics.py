"""Statistics on counts, with the standard library alone.

The unit of an experiment is the contact. Intervals of experiments may be looked at every day (analysis/README.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Final

from chatvitals.analysis import student_t

if TYPE_CHECKING:
    from collections.abc import Sequence

ALPHA: Final = 0.05
"""The allowed rate of wrong conclusions where there is no difference, 0 to 1."""
PLANNED: Final = 6000
"""Contacts of all variants together at which intervals are narrowest. It is the default for the planned size."""
SPLIT_ALPHA: Final = 0.001
"""Nothing is concluded where the p-value of the split check is below this."""

_NORMAL: Final = NormalDist()
_ENDLESS: Final = 10**9  # contacts; a larger experiment is not feasible


@dataclass(frozen=True, slots=True)
class Share:
    """A count and its total.

    Example:
        >>> Share(30, 120).value
        0.25

    """

    count: float
    total: float

    @property
    def value(self) -> float:
        """The share, 0 to 1, or NaN where the total is 0."""
        return self.count / self.total if self.total > 0 else math.nan

    @property
    def variance(self) -> float:
        """Variance of the share. One success and one failure are added, so that 0 of 3 is not taken for certain."""
        smooth = (self.count + 1) / (self.total + 2)
        return smooth * (1 - smooth) / self.total if self.total > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Estimate:
    """A difference with its interval."""

    value: float
    low: float
    high: float

    @property
    def direction(self) -> int:
        """The sign of an interval: 1 above 0, -1 below 0, and 0 where the interval contains 0."""
        return (self.low > 0) - (self.high < 0)


def p_of_z(z: float) -> float:
    """Return the two-sided p-value of a standard normal statistic."""
    return math.erfc(abs(z) / math.sqrt(2)) if not math.isnan(z) else 1.0


def wilson(share: Share, alpha: float = ALPHA) -> tuple[float, float]:
    """Return Wilson's interval of a share, or 0 to 1 where nothing was counted."""
    if share.total <= 0:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf(1 - alpha / 2)
    n, p = share.total, share.value
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(p * (1 - p) / n + z * z / (4 * n * n), 0.0))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def arcsine(share: Share, z: float) -> tuple[float, float]:
    """Return the interval of a share by Anscombe's arcsine transformation, or 0 to 1 where nothing was counted.

    Args:
        share: the share.
        z: standard deviations from the share to each end.

    """
    if share.total <= 0:
        return 0.0, 1.0
    angle = math.asin(math.sqrt(min((share.count + 3 / 8) / (share.total + 3 / 4), 1.0)))
    half = z / math.sqrt(4 * share.total + 2)
    low, high = math.sin(max(angle - half, 0.0)) ** 2, math.sin(min(angle + half, math.pi / 2)) ** 2
    return min(low, share.value), max(high, share.value)


def newcombe(ours: Share, other: Share, alpha: float = ALPHA) -> Estimate:
    """Return the difference `ours - other` of two shares with Newcombe's interval, for one look.

    Example:
        >>> difference = newcombe(Share(30, 100), Share(20, 100))
        >>> round(difference.value, 2), round(difference.low, 2)
        (0.1, -0.02)

    """
    return _newcombe(ours, other, wilson(ours, alpha), wilson(other, alpha))


def _newcombe(
    ours: Share, other: Share, interval: tuple[float, float], other_interval: tuple[float, float]
) -> Estimate:
    """Combine the intervals of two shares into that of their difference."""
    value = ours.value - other.value
    if math.isnan(value):
        return Estimate(value, -1.0, 1.0)
    (low, high), (other_low, other_high) = interval, other_interval
    below = math.hypot(ours.value - low, other_high - other.value)
    above = math.hypot(high - ours.value, other.value - other_low)
    return Estimate(value, value - below, value + above)


def z_test(ours: Share, other: Share) -> float:
    """Return the p-value of the pooled z-test. It is valid for a single look only."""
    total = ours.total + other.total
    pooled = (ours.count + other.count) / total if total else 0.0
    if min(ours.total, other.total) <= 0 or not 0 < pooled < 1:
        return 1.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / ours.total + 1 / other.total))
    return p_of_z((ours.value - other.value) / error)


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """An asymptotic confidence sequence, with intervals that hold at all looks together.

    Args:
        planned: units of both sides together at which the intervals are narrowest.
        alpha: the allowed rate at which any of the looks is wrong.

    """

    planned: float = PLANNED
    alpha: float = ALPHA

    @property
    def rho2(self) -> float:
        """The parameter that tunes the sequence to its planned size."""
        logarithm = -2 * math.log(self.alpha)
        return (logarithm + math.log(1 + logarithm)) / self.planned

    def half_width(self, variance: float, units: float) -> float:
        """Return half of the interval's width.

        Args:
            variance: variance of the estimate.
            units: units of both sides together so far.

        """
        if units <= 0 or math.isinf(variance):
            return math.inf
        scaled = units * self.rho2
        looks = 2 * (scaled + 1) / (units * scaled) * math.log(math.sqrt(scaled + 1) / self.alpha)
        return math.sqrt(units * variance * looks)

    def p_value(self, estimate: float, variance: float, units: float) -> float:
        """Return the smallest alpha at which the sequence excludes 0. It stays valid under daily looks."""
        if units <= 0 or math.isinf(variance) or math.isnan(estimate):
            return 1.0
        scaled = units * self.rho2
        exponent = estimate**2 * scaled / (2 * variance * (scaled + 1))
        return min(1.0, math.sqrt(scaled + 1) * math.exp(-exponent))

    def difference(self, ours: Share, other: Share) -> Estimate:
        """Return the difference `ours - other` with an interval that may be looked at every day."""
        half = self.half_width(ours.variance + other.variance, ours.total + other.total)
        value = ours.value - other.value
        if math.isnan(value):
            return Estimate(value, -1.0, 1.0)
        return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))

    def rare_difference(self, ours: Share, other: Share) -> Estimate:
        """Return the difference `ours - other` of shares of rare events, with an interval as that of `difference`.

        A variance from a few events is the smaller the fewer came by chance, so that a small control looks too good.
        On Anscombe's arcsine scale the variance is that of the totals alone. Newcombe's rule combines both shares.
        """
        standard = self.half_width(1.0, ours.total + other.total)
        return _newcombe(ours, other, arcsine(ours, standard), arcsine(other, standard))

    def units_needed(self, effect: float, deviation2: float) -> float:
        """Return the number of units that can show an effect of this size. It is infinite beyond 10^9.

        Args:
            effect: the difference to show, not 0.
            deviation2: units times the variance of the estimate, which does not depend on the units.

        """
        low, high = 2.0, 2.0
        while self.half_width(deviation2 / high, high) > abs(effect):
            low, high = high, high * 2
            if high > _ENDLESS:
                return math.inf
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.half_width(deviation2 / middle, middle) > abs(effect) else (low, middle)
        return high


def split_check(counts: Sequence[float], weights: Sequence[float]) -> float:
    """Return the p-value of a split by the weights. Below `SPLIT_ALPHA` the split is broken.

    Variants without a weight that hold contacts give 0, because such a split cannot be right.
    """
    total, weight = sum(counts), sum(weights)
    pairs = [(count, total * share / weight) for count, share in zip(counts, weights, strict=True) if weight > 0]
    if any(count > 0 and expected <= 0 for count, expected in pairs):
        return 0.0
    pairs = [(count, expected) for count, expected in pairs if expected > 0]
    if len(pairs) < 2:
        return 1.0
    statistic = sum((count - expected) ** 2 / expected for count, expected in pairs)
    return chi2_tail(statistic, len(pairs) - 1)


def chi2_tail(statistic: float, degrees: int) -> float:
    """Return the probability that a chi-squared variable is above `statistic`."""
    x = statistic / 2
    if x <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    # the upper incomplete gamma function, built up in whole steps from 1/2 or 1
    step = 0.5 if degrees % 2 else 1.0
    tail = math.erfc(math.sqrt(x)) if degrees % 2 else math.exp(-x)
    while step < degrees / 2:
        tail += math.exp(step * math.log(x) - x - math.lgamma(step + 1))
        step += 1
    return min(tail, 1.0)


@dataclass(frozen=True, slots=True)
class Superiority:
    """The chance that a unit of the second side lies above a unit of the first. Ties count half."""

    value: float
    variance: float
    degrees: float = math.inf  # of freedom, by Satterthwaite

    def interval(self, alpha: float = ALPHA) -> Estimate:
        """Return the probability minus one half, with its interval for one look."""
        half = student_t.quantile(1 - alpha / 2, self.degrees) * math.sqrt(self.variance)
        return Estimate(self.value - 0.5, self.value - 0.5 - half, self.value - 0.5 + half)


def superiority(first: Sequence[float], second: Sequence[float]) -> Superiority:
    """Compare two groups of ranked buckets.

    The value is P(first < second) + P(equal) / 2, with Brunner and Munzel's variance.

    Args:
        first: counts by bucket, with the shortest wait first and the unanswered turns last.
        second: counts of the other side in the same buckets.

    Returns:
        NaN with an infinite variance where a side holds fewer than two units.

    Example:
        >>> superiority([10, 0], [0, 10]).value
        1.0

    """
    ours, others = sum(first), sum(second)
    if min(ours, others) < 2:
        return Superiority(math.nan, math.inf)
    pooled = _midranks([a + b for a, b in zip(first, second, strict=True)])
    mean, spread = _placement(first, pooled)
    other_mean, other_spread = _placement(second, pooled)
    value = (other_mean - mean) / (ours + others) + 0.5
    one, two = ours * spread, others * other_spread
    uncertain = one**2 / (ours - 1) + two**2 / (others - 1)
    degrees = (one + two) ** 2 / uncertain if uncertain > 0 else min(ours, others) - 1
    # the groups are apart in every pair: the variance would be 0, but another pair could differ
    return Superiority(value, max((one + two) / (ours * others) ** 2, 1 / (4 * ours * others)), degrees)


def _midranks(counts: Sequence[float]) -> list[float]:
    return [upto - count + (count + 1) / 2 for upto, count in zip(accumulate(counts), counts, strict=True)]


def _placement(counts: Sequence[float], pooled: list[float]) -> tuple[float, float]:
    """Return the mean pooled rank of a group, and the variance of its placements among the other group."""
    size = sum(counts)
    mean = sum(count * rank for count, rank in zip(counts, pooled, strict=True)) / size
    middle = (size + 1) / 2
    squares = sum(
        count * (rank - own - mean + middle) ** 2
        for count, rank, own in zip(counts, pooled, _midranks(counts), strict=True)
    )
    return mean, squares / (size - 1)


def ratio_variance(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return a ratio of sums over contacts and its variance by the delta method.

    Args:
        pairs: numerator and denominator of each contact, such as its completed and its ended runs.

    """
    count = len(pairs)
    top = sum(above for above, _ in pairs) / count
    bottom = sum(below for _, below in pairs) / count
    ratio = top / bottom
    squares = sum((above - ratio * below) ** 2 for above, below in pairs)
    return ratio, squares / (count - 1) / count / bottom**2


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values. Compare each with alpha, for any number of p-values."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, least = [1.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = least
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values that bound the share of false discoveries."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index], reverse=True)
    adjusted, most = [1.0] * len(p_values), 1.0
    for place, index in enumerate(order):
        most = min(most, p_values[index] * len(p_values) / (len(p_values) - place))
        adjusted[index] = most
    return adjusted


def robust_z(value: float, usual: Sequence[float], noise: float = 0.0) -> float:
    """Return the distance of a value from the usual values, in robust standard deviations.

    Args:
        value: the value to judge.
        usual: values of other times.
        noise: standard deviation by chance alone. The measure of spread is never below it.

    Returns:
        0 where no usual value is known. Infinite where the usual values never varied and the value differs.

    """
    if not usual or math.isnan(value):
        return 0.0
    middle = median(usual)
    spread = max(1.4826 * median(abs(each - middle) for each in usual), noise)
    return (
        (value - middle) / spread if spread > 0 else 0.0 if value == middle else math.copysign(math.inf, value - middle)
    )
