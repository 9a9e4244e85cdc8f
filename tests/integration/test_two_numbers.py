"""Two business numbers compared on a small history in a real Prometheus."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import main
from tests.helpers.month import backfill
from tests.helpers.prometheus import prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR, DAY = 3600, 86_400
OLD, NEW = "111", "222"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Eight days: one number has messages on the first three, the other on the last three."""
    folder = tmp_path_factory.mktemp("numbers")
    end = int(time.time()) // DAY * DAY
    start = end - 8 * DAY
    lines = ["# TYPE chatvitals_build_info gauge"]
    lines += [f'chatvitals_build_info{{job="bot",version="1"}} 1 {at}' for at in range(start, end, 600)]
    lines.append("# TYPE chatvitals_turns_opened counter")
    for number, first, last in ((OLD, start, start + 3 * DAY), (NEW, end - 3 * DAY, end)):
        labels = f'{{job="bot",phone_number_id="{number}",turn="first",in_hours=""}}'
        for at in range(start, end, 600):
            turns = max(min(at, last) - first, 0) // HOUR
            lines.append(f"chatvitals_turns_opened_total{labels} {turns} {at}")
    history = folder / "history.om"
    history.write_text("\n".join([*lines, "# EOF", ""]))
    backfill("openmetrics", str(history), str(folder / "data"))
    with prometheus("{}", folder) as server:
        yield server.url


def test_two_numbers_without_a_common_time_are_a_sentence(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says when each one began and what to do instead."""
    words = ["compare", "--number", OLD, "--against", NEW, "--prometheus", url, "--tz", "UTC"]
    assert main.main(words) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "have no common time" in said
    assert "Try --since-first-message." in said


def test_they_are_compared_since_their_first_messages(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--number", OLD, "--against", NEW, "--prometheus", url, "--tz", "UTC"]
    assert main.main([*words, "--since-first-message"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "by days since each number's first message" in said
    assert "the two numbers write to different people" in said
    assert "Intervals count turns, not people" in said
