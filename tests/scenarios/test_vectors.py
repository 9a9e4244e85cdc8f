"""Every scenario file is a rule of conversations/README.md as numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatvitals.testing import differences, run_scenario
from chatvitals.testing.__main__ import main
from tests.helpers.redis_servers import RedisServer  # noqa: TC001 - pytest does not need it, but reads better beside it

FILES = sorted((Path(__file__).parent / "vectors").glob("*.json"))
CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))
"""Small inputs that once gave wrong numbers, with the right ones."""
BUILT = {"turns", "journeys", "experiments", "quality"}


def scenarios() -> list[Any]:
    """Return the scenarios as parameters."""
    loaded = [(path.stem, json.loads(path.read_text())) for path in (*FILES, *CASES)]
    return [pytest.param(scenario, id=name) for name, scenario in loaded if scenario["needs"] in BUILT]


@pytest.mark.parametrize("store_url", ["sqlite", "memory", "redis"], indirect=True)
@pytest.mark.parametrize("scenario", scenarios())
def test_the_numbers_are_as_expected(scenario: dict[str, Any], store_url: str) -> None:
    """The real doors, with the scenario's workers, kills and held commits, give these samples."""
    exposition = run_scenario(scenario, store_url)
    assert differences(scenario, exposition) == []


def test_several_scenarios_run_on_one_redis_and_leave_nothing_behind(
    capsys: pytest.CaptureFixture[str], redis_server: RedisServer
) -> None:
    """`--store redis://…` gives each scenario keys of its own, and removes them."""
    before = redis_server.keys()
    files = [str(FILES[0].with_name(f"{name}.json")) for name in ("first_and_next_turn", "two_workers_and_kills")]
    assert main(["--store", redis_server.url, *files]) == 0
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()] == [True, True]
    assert redis_server.keys() == before


def test_a_wrong_number_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The runner does not only ever agree."""
    scenario = json.loads(FILES[0].with_name("first_and_next_turn.json").read_text())
    scenario["expect"]["chatvitals_turns_total"] = 4
    scenario["absent"] = ["chatvitals_turns_open"]
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(scenario))
    assert main([str(path)]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict == {
        "name": "wrong",
        "ok": False,
        "differences": ["chatvitals_turns_total is 3, not 4", "chatvitals_turns_open is there"],
    }


def test_samples_are_printed_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """`--samples` gives the exposition that a scenario ends with."""
    assert main(["--samples", str(FILES[0].with_name("first_and_next_turn.json"))]) == 0
    assert 'chatvitals_turns_total{outcome="answered"' in capsys.readouterr().out


def test_a_broken_file_is_told_and_does_not_hide_the_others(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One line for each file, whatever it holds."""
    (tmp_path / "broken.json").write_text("{")
    assert main([str(tmp_path / "broken.json"), str(FILES[0].with_name("first_and_next_turn.json"))]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert not first["ok"]
    assert second["ok"]


def test_a_wrong_store_is_refused_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the allowed keys."""
    with pytest.raises(SystemExit, match="2"):
        main(["--store", "mysql://x", str(FILES[0])])
    assert "'memory:', 'sqlite:///PATH'" in capsys.readouterr().err
