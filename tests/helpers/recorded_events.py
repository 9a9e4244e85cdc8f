"""A `Vitals` that tests listen to: no thread, a clock that stands still, and every event at hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Cell
    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.stores.base import Store
    from chatvitals.tracking.journeys import Journey
    from chatvitals.tracking.observation import Observation

EPOCH = 1_795_392_000
NUMBER = "990005556667778"
PHONE = "15550004321"
USER = "US.90000000000000000001"
STEPS = ["menu", "item", "address", "paid"]
_KEY = "0123456789abcdef"


class ListeningVitals(Vitals):
    """The real thing on a memory store or the store that is given. Keeps the emitted events."""

    def __init__(self, store: Store | None = None, clock: FakeClock | None = None, **settings: Any) -> None:
        given = {"store": "memory:", "identity_key": _KEY, "hooks": False, **settings}
        self.events: list[Queued] = []
        self.time = clock or FakeClock(EPOCH + 0.5)
        store = open_store("memory:") if store is None else store
        super().__init__(Settings.load(given, environ={}), store=store, clock=self.time, background=False)
        self.webhook_sink._put = self._keep

    def _keep(self, event: Queued) -> None:
        self.events.append(event)
        self._pipeline.put(event)

    def heard(self, kind: type) -> list[Any]:
        """Return the events of a kind."""
        return [event for event in self.events if type(event) is kind]

    def receive(self, *items: dict[str, Any]) -> Observation:
        """Take in a webhook with these message items, to be used in a `with` statement."""
        body = json.dumps(webhook(*items)).encode()
        observation = self.observe_webhook(body)
        assert observation.result == "accepted"
        return observation

    def later(self, seconds: float) -> None:
        """Let time pass, with everything that falls due in it."""
        self.settle()
        self.time.advance(seconds)
        self.settle()

    def cells(self) -> dict[Cell, float]:
        """Return all cells once everything received has settled."""
        self.later(self.settings.settle_after + 1.0)
        return self.store.cells()

    def total(self, family: catalogue.Family, *labels: str, field: int = 0) -> float:
        """Return the sum over the series that have all these label values, once everything received has settled."""
        return sum(
            value
            for (name, values, index), value in self.cells().items()
            if name == family.name and index == field and set(labels) <= set(values)
        )

    def problems(self, where: str) -> int:
        """Return how often something went wrong at a place."""
        return int(self.total(catalogue.INTERNAL_ERRORS, where))


def order_of(vitals: Vitals) -> Journey:
    """Declare a journey that paying completes."""
    return vitals.journey("order", STEPS, completed_by="paid")


def item(phone: str = PHONE, user: str = "", *, name: str = "", at: float = EPOCH) -> dict[str, Any]:
    """Return a text message of someone as an item of `messages[]`."""
    ids = {key: value for key, value in (("from", phone), ("from_user_id", user)) if value}
    given = name or f"{phone}{user}{at}"
    return {**ids, "id": f"wamid.{given}", "timestamp": str(int(at)), "type": "text", "text": {"body": "hello"}}


def webhook(*items: dict[str, Any], number: str = NUMBER) -> dict[str, Any]:
    """Return a body that holds message items."""
    value = payloads.value_of(number, "15550001234") | {"messages": list(items)}
    return payloads.envelope([("990001112223334", "messages", value)])
