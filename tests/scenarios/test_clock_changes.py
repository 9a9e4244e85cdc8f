"""Workers whose clocks jump back and forth: numbers may shift then, and no law breaks."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.stores import open_store
from tests.helpers.examples import examples
from tests.scenarios.test_order_independence import EPOCH, LATER, WORKERS, Delivery, World, histories

JUMPS = st.sampled_from([0.0, 0.0, 0.0, -5.3, 5.3, -90.1, 90.1, -3600.7, 3600.7, -200_000.9, 200_000.9])


class JumpingWorld(World):
    """Each delivery comes by the clock of its worker at that moment. Laws are checked after each commit."""

    def play_by(self, deliveries: list[Delivery], jumps: list[float]) -> None:
        """Let everything happen, and the clock be right again long after."""
        self.start()
        for delivery, jump in zip(deliveries, jumps, strict=True):
            self.clock.now = EPOCH + delivery.at + jump
            event = copy.copy(delivery.event)
            event.received = self.clock.now
            self.pipelines[delivery.worker].put(event)
            assert self.pipelines[delivery.worker].drain()
            self.conserve()
            assert self.pipelines[0].sweep()
            self.conserve()
        self.clock.now = EPOCH + LATER + 400_000.0
        assert self.pipelines[0].sweep()
        self.conserve()


@examples(150)
@given(histories(), st.data())
def test_no_law_breaks_whatever_a_workers_clock_does(history: list[Delivery], data: st.DataObject) -> None:
    """Turns opened stay turns ended plus open, no time is negative, and everything ends in the end."""
    jumps = [data.draw(JUMPS) for _ in history]
    spread = [Delivery(d.at, d.event, worker=data.draw(st.integers(0, WORKERS - 1))) for d in history]
    world = JumpingWorld(open_store("memory:"))
    world.play_by(spread, jumps)
    cells = world.store.cells()
    assert not any(value for cell, value in cells.items() if cell[0] == catalogue.TURNS_OPEN.name)
    times = {catalogue.RESPONSE_SECONDS.name, catalogue.WAIT_SECONDS.name, catalogue.WEBHOOK_LAG.name,
             catalogue.HUMAN_FIRST_RESPONSE.name}  # fmt: skip
    assert all(value >= 0.0 for cell, value in cells.items() if cell[0] in times and cell[2] == SUM)
    assert all(value >= 0.0 for cell, value in cells.items())
