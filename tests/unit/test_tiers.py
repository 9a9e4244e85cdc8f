"""CI and a plain run try all random examples. The fast tests at a developer's desk try a part of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

from tests.helpers.examples import share

if TYPE_CHECKING:
    import pytest

CI = Path(__file__).parents[2] / ".ci" / "run"


def test_only_fast_tests_at_a_desk_try_fewer_examples(request: pytest.FixtureRequest) -> None:
    """The profile follows from the command, also in the processes of xdist."""
    fast = request.config.option.markexpr == "fast"
    expected = request.config.getoption("--hypothesis-profile") or ("desk" if fast else "full")
    assert settings.get_current_profile_name() == expected
    assert share(600) == {"desk": 120, "full": 600}[expected]
    assert share(3) >= 1


def test_ci_tries_all_examples() -> None:
    """A run of CI that asks for the fast tests names the profile."""
    runs = [line for line in CI.read_text().splitlines() if "bin/pytest" in line]
    assert len(runs) == 3
    assert all("--hypothesis-profile=full" in line for line in runs if "-m fast" in line)
    assert not any("desk" in line for line in runs)
