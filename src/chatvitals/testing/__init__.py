"""Public helpers for tests: a clock that is set by hand, payload builders, and a runner for scenarios."""

from __future__ import annotations

from chatvitals.testing.clock import FakeClock
from chatvitals.testing.expectations import differences
from chatvitals.testing.fixtures import Place, ScenarioPerson, person, place, wamid
from chatvitals.testing.runner import run_scenario

__all__ = ["FakeClock", "Place", "ScenarioPerson", "differences", "person", "place", "run_scenario", "wamid"]
