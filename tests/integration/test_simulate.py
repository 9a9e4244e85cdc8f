"""`chatvitals simulate`: the same month for the same seed, laws that hold, and a file that Prometheus takes."""

from __future__ import annotations

import gzip
import subprocess
from typing import TYPE_CHECKING

import pytest
from prometheus_client.core import GaugeMetricFamily

from chatvitals.cli import main, simulate
from chatvitals.exporters.openmetrics import Spool
from chatvitals.metrics import catalogue
from chatvitals.simulator.history import History
from chatvitals.simulator.story import DAY, STORIES
from tests.helpers.services import require

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.core import Metric

STORY = "quality-drop"
START = 1_795_392_000.0 - 40 * DAY


def played(days: float, *, seed: int = 1, every: float = 3600.0) -> list[tuple[float, dict[str, Metric]]]:
    """Return samples of the story, with the metrics by name."""
    history = History(STORIES[STORY], start=START, days=days, seed=seed, every=every)
    return [(at, {metric.name: metric for metric in metrics}) for at, metrics in history.play()]


def total(metrics: dict[str, Metric], family: str) -> float:
    """Return the sum over a counter's or gauge's series."""
    return sum(sample.value for sample in metrics[family.removesuffix("_total")].samples)


def test_a_month_tells_its_story() -> None:
    """GREEN, then YELLOW, then RED for the slow number, then GREEN again. The other number is well all the time."""
    seen: dict[str, list[float]] = {}
    for _, metrics in played(30.0, every=4 * 3600.0):
        for sample in metrics[catalogue.QUALITY_RATING.name].samples:
            ratings = seen.setdefault(sample.labels[catalogue.NUMBER], [])
            if ratings[-1:] != [sample.value]:
                ratings.append(sample.value)
    slow, well = (seen[line.number] for line in STORIES["quality-drop"].lines)
    assert slow[0] == 3.0
    assert slow.index(2.0) < slow.index(1.0)
    assert slow[-1] == 3.0
    assert 1.0 not in well
    *_, (_, last) = played(2.0)
    ended = total(last, catalogue.TURNS.name) + total(last, catalogue.TURNS_OPEN.name)
    assert total(last, catalogue.TURNS_OPENED.name) == ended > 100


def test_the_same_seed_gives_the_same_history() -> None:
    """And another seed another one."""
    name = catalogue.MESSAGES_RECEIVED.name
    one, same, other = (total(played(1.0, seed=seed)[-1][1], name) for seed in (1, 1, 2))
    assert one == same != other


def test_prometheus_takes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command writes it and says how to backfill."""
    target = tmp_path / "history.txt"
    assert main.main(["simulate", "--openmetrics", str(target), "--days", "1", "--every", "600"]) == 0
    assert "promtool tsdb create-blocks-from" in capsys.readouterr().out
    command = [require("promtool"), "tsdb", "create-blocks-from", "--max-block-duration=486h", "openmetrics"]
    done = subprocess.run([*command, str(target), str(tmp_path / "data")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "data").glob("*/meta.json"))


def test_a_compressed_file_holds_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a tenth of the room at most. The command says how to unpack it."""
    files = tmp_path / "history.txt", tmp_path / "history.txt.gz"
    for file in files:
        assert simulate.run(file, scenario=STORY, days=0.5, seed=1, every=900.0, end=1_795_392_000.0) == 0
    plain, packed = files
    ours, theirs = (
        [line for line in text.splitlines() if b"store_commit_seconds" not in line]  # how busy this machine is
        for text in (plain.read_bytes(), gzip.decompress(packed.read_bytes()))
    )
    assert ours == theirs
    assert packed.stat().st_size < plain.stat().st_size / 10
    assert f"gunzip --keep {packed}\n" in capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_said_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Not after a minute."""
    assert main.main(["simulate", "--openmetrics", str(tmp_path / "no" / "x.txt")]) == 2
    assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [True, False])
def test_who_interrupts_it_finds_things_as_they_were(tmp_path: Path, kept: bool) -> None:  # noqa: FBT001 - a parameter
    """A file of before keeps what it held. A new one is gone."""
    target = tmp_path / "history.txt"
    if kept:
        target.write_text("of before")
    with pytest.raises(KeyboardInterrupt), Spool(target) as spool:  # noqa: PT012 - the interrupt comes in between
        spool.add(GaugeMetricFamily("x", "X.", value=1), 1.0)
        raise KeyboardInterrupt
    assert [path.read_text() for path in tmp_path.iterdir()] == (["of before"] if kept else [])
