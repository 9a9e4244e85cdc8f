"""Scenarios begin, have their names, and end."""

from __future__ import annotations

from chatvitals.demo.scenarios import OUTAGE, SCENARIOS


def test_trouble_comes_and_goes() -> None:
    """The outage lasts from second 4 to 12 of every 30."""
    assert [OUTAGE.troubled(t) for t in (0.0, 4.0, 11.9, 12.0, 34.0, 42.0)] == [False, True, True, False, True, False]
    assert OUTAGE.conditions(5.0) is OUTAGE.trouble
    assert OUTAGE.conditions(3.0) is OUTAGE.normal


def test_each_scenario_has_its_name() -> None:
    """The names are those of the command line."""
    assert set(SCENARIOS) == {"calm", "slow", "outage", "quality-drop"}
    assert all(name == scenario.name for name, scenario in SCENARIOS.items())
