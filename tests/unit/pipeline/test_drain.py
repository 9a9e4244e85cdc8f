"""One call of `drain` commits the events that waited at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.events import Message
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    import pytest

    from chatvitals.pipeline.queue_items import Decoded


def message(serial: int) -> Message:
    """Return a message of a contact of its own."""
    return Message(phone_number_id="1", wa_id=f"1555{serial}", received=1_700_000_000.0, id=f"m{serial}", type="text")


def test_events_that_come_during_a_commit_wait_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy bot would otherwise get a commit for every few events."""
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=FakeClock(), background=False)
    pipeline = vitals._pipeline
    batches: list[int] = []
    commit = pipeline._commit_or_keep

    def commit_while_another_comes(batch: list[Decoded]) -> bool:
        batches.append(len(batch))
        pipeline.put(message(100 + len(batches)))
        return commit(batch)

    monkeypatch.setattr(pipeline, "_commit_or_keep", commit_while_another_comes)
    for serial in range(3):
        pipeline.put(message(serial))
    assert pipeline.drain()
    assert batches == [3]
    assert pipeline.waiting == 1
    assert pipeline.drain()
    assert batches == [3, 1]
