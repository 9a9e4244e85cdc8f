"""How far a server's time proves that the local clock is wrong."""

from __future__ import annotations

import pytest

from chatvitals.runtime.clock_skew import clock_skew


@pytest.mark.parametrize("earliest", [99.5, 100.0, 103.0, 107.0])
def test_a_time_between_request_and_answer_proves_nothing(earliest: float) -> None:
    """However long the answer took."""
    assert clock_skew(100.0, 107.0, earliest, earliest + 1.0) == 0.0


def test_an_earlier_time_shows_that_the_local_clock_is_ahead() -> None:
    """By what the server's clock may have shown at most."""
    assert clock_skew(100.0, 107.0, 60.0, 61.0) == 39.0


def test_a_later_time_shows_that_the_local_clock_is_behind() -> None:
    """By what the server's clock may have shown at least."""
    assert clock_skew(100.0, 107.0, 140.0, 141.0) == -33.0
