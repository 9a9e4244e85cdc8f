"""Commits, events and sums for tests of a real Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.events import Message
from chatvitals.metrics import catalogue
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings

if TYPE_CHECKING:
    from chatvitals.metrics.catalogue import Family
    from chatvitals.stores.base import Changes
    from chatvitals.stores.redis import RedisStore
    from chatvitals.testing import FakeClock


CELL = ("chatvitals_turns_open", ("1",), 0)
EPOCH = 1_795_392_000.0


def commit(store: RedisStore, changes: Changes) -> None:
    with store.transaction() as transaction:
        transaction.commit(changes)


def pipeline(store: RedisStore, clock: FakeClock, **settings: Any) -> Pipeline:
    chosen = Settings.load({"store": "memory:", "identity_key": "0123456789abcdef", **settings}, environ={})
    return Pipeline(chosen, store, ErrorGuard(), clock, background=False)


def message(clock: FakeClock, contact: int = 1, name: str = "wamid.1") -> Message:
    return Message(
        phone_number_id="990",
        wa_id=f"1555000{contact}",
        user_id=f"US.{contact}",
        received=clock.now,
        id=name,
        type="text",
        timestamp=int(clock.now),
    )


def total(store: RedisStore, family: Family) -> float:
    return sum(value for cell, value in store.cells().items() if cell[0] == family.name)


def opened(store: RedisStore) -> float:
    return total(store, catalogue.TURNS_OPENED)
