"""Quantiles of values and of histograms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """Return an interpolated quantile of values, or NaN where there are no values."""
    ranked = sorted(values)
    if not ranked:
        return math.nan
    place = share * (len(ranked) - 1)
    lower = math.floor(place)
    upper = min(lower + 1, len(ranked) - 1)
    return ranked[lower] + (place - lower) * (ranked[upper] - ranked[lower])


def bucket_of(counts: Mapping[float, float], share: float) -> tuple[float, float]:
    """Return the bounds of the histogram bucket that holds a quantile.

    Args:
        counts: observations by the upper bound of their bucket, not cumulative.
        share: the quantile, 0 to 1.

    Returns:
        lower and upper bound in seconds. Both are NaN for an empty histogram.

    """
    wanted, seen, lower = share * sum(counts.values()), 0.0, 0.0
    for upper in sorted(counts):
        seen += counts[upper]
        if counts[upper] > 0 and seen >= wanted:
            return lower, upper
        lower = upper
    return math.nan, math.nan


def histogram_quantile(counts: Mapping[float, float], share: float) -> float:
    """Return a quantile, interpolated in its bucket like in Prometheus. It is infinite beyond the last bound."""
    lower, upper = bucket_of(counts, share)
    if math.isnan(lower) or math.isinf(upper):
        return upper
    below = sum(count for bound, count in counts.items() if bound <= lower)
    inside = counts[upper]
    return lower + (upper - lower) * max(share * sum(counts.values()) - below, 0.0) / inside
