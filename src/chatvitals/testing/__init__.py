"""Public helpers for tests: a fake clock, payload builders, and a runner for scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.testing.clock import FakeClock
from chatvitals.testing.expectations import differences
from chatvitals.testing.fixtures import Place, ScenarioPerson, person, place, wamid

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FakeClock", "Place", "ScenarioPerson", "differences", "person", "place", "run_scenario", "wamid"]


def run_scenario(scenario: Mapping[str, Any], store: str = "") -> str:
    """Return the exposition text after all steps of `scenario`.

        text = run_scenario(json.loads(Path("scenario.json").read_text()))

    Args:
        scenario: the content of a scenario file. Its `expect` is ignored.
        store: URL of an empty store. The default is a SQLite file in a temporary folder. A run on Redis uses its own
            prefix, which is removed afterwards, unless the URL has a prefix.

    Raises:
        ValueError: the scenario has steps or names that this version does not know.
        ModuleNotFoundError: httpx is not installed. The extra `graph` installs it.

    """
    from chatvitals.testing import runner  # noqa: PLC0415 - the other helpers work without httpx

    return runner.run_scenario(scenario, store)
