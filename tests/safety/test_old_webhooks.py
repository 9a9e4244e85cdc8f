"""A webhook that somebody recorded and sends again much later changes nothing."""

from __future__ import annotations

import json
from typing import Any

from chatvitals.testing import payloads
from tests.helpers.quality_bench import NOW, Bench

DAY = 86_400.0
OWN = ("chatvitals_webhook", "chatvitals_duplicates", "chatvitals_events_dropped", "chatvitals_last_webhook",
       "chatvitals_store_commit", "chatvitals_clock_skews")  # fmt: skip
"""Families that count what came, whatever became of it."""


def body(step: dict[str, Any], seconds: float) -> bytes:
    """Return a webhook with one item, of a time so many seconds after the start."""
    return json.dumps(payloads.webhook([step], NOW - payloads.EPOCH + seconds)).encode()


def shown(bench: Bench) -> list[str]:
    """Return the lines of `/metrics` that tell what happened."""
    return [line for line in bench.exposition().splitlines() if not line.startswith(("#", *OWN))]


def test_a_signed_replay_of_an_old_webhook_changes_nothing() -> None:
    """Messages, statuses, echoes and preferences have an age. Duplicates are remembered for seven days only."""
    contact = {"contact": "A"}
    steps: list[dict[str, Any]] = [
        {"in": "text", "id": "m1", **contact},
        {"status": "sent", "id": "b1", **contact},
        {"status": "failed", "id": "b2", "code": 131049, **contact},
        {"echo": "text", "id": "h1", **contact},
        {"preference": "stop", **contact},
        {"preference": "resume", **contact},
    ]
    bodies = [body(step, float(i)) for i, step in enumerate(steps)]
    bench = Bench()
    for each in bodies:
        bench.post(each)
        bench.clock.advance(1)
    bench.clock.advance(8 * DAY)
    bench.vitals.settle()
    before = shown(bench)
    assert any("chatvitals_turns_total" in line and line.endswith(" 1.0") for line in before)
    for each in bodies:
        assert bench.post(each) == "accepted"
    bench.clock.advance(2 * DAY)
    bench.vitals.settle()
    assert shown(bench) == before
    assert bench.differs({'events_dropped_total{reason="stale"}': 6}) == []
