"""A batch collects events for longer while many come, because each batch has a cost of its own."""

from __future__ import annotations

import time

import pytest

from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.numbered_messages import message


@pytest.mark.parametrize(
    ("in_each_period", "queue_size", "periods"),
    [
        pytest.param(0, 10_000, 1, id="nothing more comes"),
        pytest.param(10, 10_000, 1, id="few come, and are soon seen"),
        pytest.param(11, 10_000, 3, id="many come"),
        pytest.param(250, 10_000, 2, id="a batch is full"),
        pytest.param(100, 800, 2, id="the queue is a quarter full"),
    ],
)
def test_a_batch_collects_events_while_many_come(
    monkeypatch: pytest.MonkeyPatch, in_each_period: int, queue_size: int, periods: int
) -> None:
    """It ends with three tenths of a second at the latest."""
    settings = Settings.load({"store": "memory:", "hooks": False, "queue_size": queue_size}, {})
    pipeline = Vitals(settings, clock=FakeClock(), background=False)._pipeline
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        for serial in range(in_each_period):
            pipeline.put(message(1000 * len(slept) + serial))

    monkeypatch.setattr(time, "sleep", sleep)
    pipeline._collect()
    assert slept == [0.1] * periods


def test_a_batch_for_which_a_scrape_waits_is_committed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers on `/metrics` are those of the moment of the scrape."""
    pipeline = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), background=False)._pipeline
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    pipeline._asked += 1
    pipeline._collect()
    assert slept == []
