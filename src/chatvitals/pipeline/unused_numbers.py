"""Deletion of the series of business numbers that nobody named and nobody uses (tests/safety/README.md 66).

Without an app secret anybody may post webhooks of any number. Their series must not stay for ever.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.metrics import cardinality, catalogue
from chatvitals.quality import state
from chatvitals.runtime.interval import Interval
from chatvitals.stores.base import Changes, ConflictError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chatvitals.metrics.measurements import Cell
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

_DAY: Final = 86_400.0
_UNUSED_DAYS: Final = 10  # a silent contact is forgotten after eight
_SECONDS: Final = 6 * 3600.0


class UnusedNumbers:
    """A periodic task that deletes the series of unused numbers, where webhooks are not signed.

    Args:
        settings: numbers that they name are never deleted.
        store: the store.
        clock: function that returns the time in Unix seconds.

    """

    def __init__(self, settings: Settings, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._interval = Interval(_SECONDS)

    def __call__(self) -> None:
        """Look four times a day."""
        now = self._clock()
        if self._settings.app_secret or not self._interval.is_over(now):
            return
        self._interval.start(now)
        try:
            delete_unused(self._store, self._settings.phone_number_id, now)
        except (StoreUnavailableError, ConflictError):
            return  # a later look finds them


def delete_unused(store: Store, named: Collection[str], now: float) -> int:
    """Delete all series of the numbers that were not used for ten days. Return how many numbers these are.

    Args:
        store: the store. Workers may run meanwhile.
        named: numbers to keep, whether they are used or not. Numbers that a poll has found stay as well.
        now: Unix seconds.

    Raises:
        ConflictError: another process has changed the documents meanwhile.
        StoreUnavailableError: the store cannot be used.

    """
    if not _unused(store.document(cardinality.DOCUMENT), named, now):
        return 0
    cells = store.cells()
    busy = {cell[1][0] for cell, value in cells.items() if value and _is_of_number(cell, "gauge")}
    with store.transaction() as transaction:
        document = transaction.document(cardinality.DOCUMENT)
        quality = state.decode(transaction.document(state.DOCUMENT))
        polled = {number for number, known in quality.numbers.items() if known.rated}
        gone = _unused(document, named, now) - busy - polled
        if not gone:
            return 0
        admitted = dict(cardinality.decode(document))
        numbers = admitted.get(catalogue.NUMBER, {})
        admitted[catalogue.NUMBER] = {number: day for number, day in numbers.items() if number not in gone}
        changes = Changes(dropped={cell for cell in cells if _is_of_number(cell) and cell[1][0] in gone})
        changes.documents[cardinality.DOCUMENT] = msgspec.msgpack.encode(admitted)
        if not gone.isdisjoint(quality.numbers):
            for number in gone:
                quality.numbers.pop(number, None)
            changes.documents[state.DOCUMENT] = state.encode(quality)
        transaction.commit(changes)
    return len(gone)


def _unused(document: bytes | None, named: Collection[str], now: float) -> set[str]:
    before = now // _DAY - _UNUSED_DAYS
    numbers = cardinality.decode(document).get(catalogue.NUMBER, {})
    return {number for number, day in numbers.items() if day < before and number not in named}


def _is_of_number(cell: Cell, kind: str = "") -> bool:
    family = catalogue.FAMILIES.get(cell[0])
    return family is not None and family.per_number and bool(cell[1]) and kind in {"", family.kind}
