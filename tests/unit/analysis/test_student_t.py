"""Quantiles of Student's t, against scipy."""

from __future__ import annotations

import math

import pytest
import scipy

from chatvitals.analysis import student_t


@pytest.mark.parametrize("degrees", [3, 4.5, 9, 40, 1000])
@pytest.mark.parametrize("share", [0.025, 0.5, 0.95, 0.975])
def test_a_quantile_is_that_of_scipy(share: float, degrees: float) -> None:
    assert student_t.quantile(share, degrees) == pytest.approx(scipy.stats.t.ppf(share, degrees), rel=0.002, abs=1e-9)


def test_infinitely_many_degrees_are_the_normal_distribution() -> None:
    assert student_t.quantile(0.975, math.inf) == pytest.approx(scipy.stats.norm.ppf(0.975))
