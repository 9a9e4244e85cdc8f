"""Quantiles of values and of histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.analysis import quantiles


def test_a_quantile_is_interpolated_as_prometheus_does() -> None:
    counts = {1.0: 10.0, 2.0: 10.0, math.inf: 5.0}
    assert quantiles.histogram_quantile(counts, 0.5) == pytest.approx(1.25)
    assert quantiles.bucket_of(counts, 0.9) == (2.0, math.inf)
    assert quantiles.histogram_quantile(counts, 0.9) == math.inf
    assert math.isnan(quantiles.histogram_quantile({}, 0.5))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.floats(0, 1))
def test_a_quantile_of_values_is_that_of_numpy(values: list[float], share: float) -> None:
    assert quantiles.quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-6)


def test_no_values_have_no_quantile() -> None:
    assert math.isnan(quantiles.quantile([], 0.5))
