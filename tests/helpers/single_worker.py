"""One worker on a store with a clock that is set by hand, told in short words what happened when."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from chatvitals.conversations import state
from chatvitals.events import Call, Echo, Message, Preference, Reply, Send, Status
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.stores.memory import MemoryStore
from chatvitals.testing import FakeClock

if TYPE_CHECKING:
    from chatvitals.events import Actor, CallName, PersonEvent, SendKind
    from chatvitals.metrics.catalogue import Family
    from chatvitals.stores.base import Store

EPOCH = 1_795_392_000  # a Monday's midnight
NUMBER = "990005556667778"
PHONE = "15550004321"
USER = "US.90000000000000000001"
DAY = 86_400.0


class World:
    """Times are seconds since `EPOCH`. Keywords are settings."""

    def __init__(self, store: Store | None = None, **settings: Any) -> None:
        self.settings = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef", **settings}, environ={})
        self.clock = FakeClock(EPOCH)
        self.store = MemoryStore() if store is None else store
        self.pipeline = Pipeline(self.settings, self.store, ErrorGuard(), self.clock, background=False)

    def at(self, t: float) -> None:
        """Let time pass up to `t`, with everything that falls due."""
        self.clock.now = EPOCH + t
        assert self.pipeline.sweep()
        self.conserve()

    def tell(self, t: float, event: PersonEvent) -> None:
        """Receive and commit an event at `t`."""
        self.clock.now = event.received = EPOCH + t
        self.pipeline.put(event)
        assert self.pipeline.drain()
        self.conserve()

    def hears(self, t: float, name: str, kind: str = "text", **more: Any) -> None:
        """Receive a customer's message. `ts` is WhatsApp's second, by default that of `t`."""
        self.tell(t, Message(**_who(more), id=name, type=kind, timestamp=_second(t, more), **more))

    def sends(self, t: float, name: str, kind: SendKind = "reply", *, accepted: bool = True, **more: Any) -> None:
        """See a call of the bot's client return at `t`."""
        self.tell(t, Send(**_who(more), id=name, kind=kind, accepted=accepted, **more))

    def status(self, t: float, name: str, status: str, **more: Any) -> None:
        """Receive a status of an outbound message."""
        self.tell(t, Status(**_who(more), id=name, status=status, timestamp=_second(t, more), **more))

    def types(self, t: float, name: str, kind: str = "text", **more: Any) -> None:
        """Receive a message that a person typed in the app."""
        self.tell(t, Echo(**_who(more), id=name, type=kind, timestamp=_second(t, more), **more))

    def calls(self, t: float, name: CallName, **more: Any) -> None:
        """Have the bot's code call `handover()` and the like."""
        self.tell(t, Call(**_who(more), name=name))

    def records(self, t: float, name: str = "", actor: Actor = "bot", **more: Any) -> None:
        """Have the bot's code report a reply."""
        self.tell(t, Reply(**_who(more), id=name, actor=actor))

    def prefers(self, t: float, value: str, category: str = "marketing_messages", **more: Any) -> None:
        """Receive a customer's choice about a category of messages."""
        self.tell(t, Preference(**_who(more), category=category, value=value, timestamp=_second(t, more)))

    def count(self, family: Family, *labels: str) -> float:
        """Return a counter or gauge, summed over its series that have all these label values."""
        return self._sum(family, labels, {0})

    def observed(self, family: Family, *labels: str) -> tuple[float, float]:
        """Return a histogram's count and sum, over its series that have all these label values."""
        count = self._sum(family, labels, set(range(len(family.buckets) + 1)))
        return count, round(self._sum(family, labels, {SUM}), 6)

    def endless(self, family: Family, *labels: str) -> float:
        """Return how many observations lie in `+Inf` alone."""
        return self._sum(family, labels, {len(family.buckets)})

    def ended(self) -> dict[str, float]:
        """Return the turns that have ended, by outcome."""
        counts = {outcome: self.count(catalogue.TURNS, outcome) for outcome in catalogue.OUTCOME}
        return {outcome: count for outcome, count in counts.items() if count}

    def contacts(self) -> list[state.ContactState]:
        """Return the contacts that the memory store holds."""
        assert isinstance(self.store, MemoryStore)
        return [state.decode(row) for row in self.store._rows.values() if isinstance(row, bytes)]

    def conserve(self) -> None:
        """Turns opened = outcomes + turns open. All ended turns but closing remarks have a wait."""
        cells = self.store.cells()
        ended = self.count(catalogue.TURNS)
        assert self.count(catalogue.TURNS_OPENED) == ended + self.count(catalogue.TURNS_OPEN)
        waits = self.observed(catalogue.WAIT_SECONDS)[0]
        assert ended - self.count(catalogue.TURNS, "dismissed") <= waits <= ended
        assert all(math.isfinite(value) and value >= 0 for value in cells.values())

    def _sum(self, family: Family, labels: tuple[str, ...], fields: set[int]) -> float:
        return sum(
            value
            for (name, values, field), value in self.store.cells().items()
            if name == family.name and field in fields and all(label in values for label in labels)
        )


def _who(more: dict[str, Any]) -> dict[str, Any]:
    names: tuple[Literal["phone_number_id", "wa_id", "user_id"], ...] = ("phone_number_id", "wa_id", "user_id")
    ids = dict(zip(names, (NUMBER, PHONE, ""), strict=True))
    return {name: more.pop(name, default) for name, default in ids.items()}


def _second(t: float, more: dict[str, Any]) -> int | None:
    second = more.pop("ts", math.floor(t))
    return None if second is None else EPOCH + second
