"""One call of `drain` commits the events that waited at its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.events import Message
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.waiting import until

if TYPE_CHECKING:
    import pytest

    from chatvitals.pipeline.queue_items import Decoded
    from tests.conftest import Swallowed


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


def test_the_thread_survives_an_error_between_two_pieces_of_work(
    monkeypatch: pytest.MonkeyPatch, swallowed: Swallowed
) -> None:
    """A process without memory may get one anywhere. The bot would never start another thread."""
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=FakeClock())
    pipeline = vitals._pipeline
    rest = pipeline._rest
    failed: list[float] = []

    def rest_without_memory(seconds: float) -> None:
        if not failed:
            failed.append(seconds)
            raise MemoryError
        rest(seconds)

    monkeypatch.setattr(pipeline, "_rest", rest_without_memory)
    pipeline.put(message(1))
    assert until("the error", lambda: swallowed.take("pipeline"))
    pipeline.put(message(2))
    until("the next commit", lambda: pipeline.waiting == 0)
    assert pipeline._thread is not None
    assert pipeline._thread.is_alive()
    vitals.close()
    assert not pipeline._thread.is_alive()


def test_events_that_the_end_leaves_unwritten_are_told_with_their_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No metric can show them, because the process that counts them has gone."""
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, {}), clock=FakeClock(), background=False)
    monkeypatch.setattr(vitals._pipeline, "drain", lambda: False)
    for serial in range(3):
        vitals._pipeline.put(message(serial))
    vitals.close()
    assert "before it could write all events to the store. Missing in the numbers: 3." in caplog.text
    assert vitals._pipeline.waiting == 0
