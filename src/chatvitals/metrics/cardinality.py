"""A cap on the distinct values of a label, so that outside data cannot grow the number of series."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from chatvitals.metrics.measurements import Cell, Measurements

DOCUMENT = "labels"
"""The store's document of the admitted values of all workers, each with the day of its last use."""

SERIES_CAP = 5_000
"""Most series of one family with several labels from outside, because their product has no other bound."""

_LONGEST = 512  # length of Meta's longest template name; a longer value is not a name
_FORGEABLE = 20  # each business number starts some 170 series
_FORGEABLE_BESIDE_NAMED = 5
_LEARN_AFTER = 500  # new series in this process, after which the other workers' series are read again
_DAY = 86_400.0
_decode = msgspec.msgpack.Decoder(dict[str, dict[str, int]]).decode


class CardinalityLimiter:
    """A limiter that admits the first `cap` values of each label. Other values become `other` and are counted.

    The admitted values are in a document of the store, which is read when a value is new. It belongs to the same
    transaction as the cells, so that the cap holds for all workers together.

    Args:
        cap: values of each label.
        numbers: business numbers that are always admitted.
        signed: whether only signed webhooks count. Otherwise anybody may name numbers, and few others are admitted.
        series_cap: series of one family with several labels from outside.

    """

    def __init__(
        self,
        cap: int,
        *,
        numbers: Iterable[str] = (),
        signed: bool = True,
        series_cap: int = SERIES_CAP,
    ) -> None:
        self._cap = cap
        self._series_cap = series_cap
        self._named = frozenset(numbers)
        others = cap if signed else _FORGEABLE_BESIDE_NAMED if self._named else _FORGEABLE
        self._most_numbers = min(cap, len(self._named) + others)
        self._admitted: dict[str, dict[str, int]] = {catalogue.NUMBER: dict.fromkeys(self._named, 0)}
        self._series: dict[str, set[tuple[str, ...]]] = {}
        self._new_series = 0  # since the store's series were learned
        self.overflow: Counter[str] = Counter()
        self._read: Callable[[], bytes | None] | None = None
        self._today = 0
        self._pending: dict[str, dict[str, int]] = {}
        self._pending_series: list[tuple[str, tuple[str, ...]]] = []

    def learn(self, cells: Iterable[Cell]) -> None:
        """Admit the values that the store has already, from before a restart or from other workers."""
        self._new_series = 0
        for family_name, values, _ in cells:
            family = catalogue.FAMILIES.get(family_name)
            if family is not None:
                for label, value in zip(family.labels, values, strict=False):
                    if label in family.capped and value and value != enums.OTHER:
                        self._admitted.setdefault(label, {}).setdefault(value, 0)
                if family_name in _OPEN_POSITIONS:
                    self._series.setdefault(family_name, set()).add(values)

    @property
    def wants_to_learn(self) -> bool:
        """Whether there are enough new series to learn the other workers' series again."""
        return self._new_series >= _LEARN_AFTER

    def begin(self, read: Callable[[], bytes | None], now: float) -> None:
        """Begin a transaction.

        Args:
            read: function that returns the document, as part of the transaction.
            now: Unix seconds.

        """
        self._read = read
        self._today = int(now // _DAY)
        self._pending = {}
        self._pending_series = []

    def limit(self, label: str, value: str) -> str:
        """Return `value`, or `other` where the label has reached its cap or the value cannot be a name."""
        admitted = self._admitted.setdefault(label, {})
        if value in admitted:
            if label == catalogue.NUMBER:
                self.use(value)
            return value
        if not value or value == enums.OTHER:
            return value
        if len(value) > _LONGEST or not value.isprintable():
            self.overflow[label] += 1
            return enums.OTHER
        pending = self._pending.setdefault(label, {})
        if value in pending:
            return value
        self._learn_document()
        if value not in admitted:
            most = self._most_numbers if label == catalogue.NUMBER else self._cap
            if len(admitted.keys() | pending) >= most:
                self.overflow[label] += 1
                return enums.OTHER
        pending[value] = self._today
        return value

    def use(self, number: str) -> None:
        """Note the day on which a business number was used. A number that is not used is deleted some day."""
        day = self._admitted[catalogue.NUMBER].get(number, self._today)
        if day < self._today and number not in self._named:
            self._pending.setdefault(catalogue.NUMBER, {})[number] = self._today

    def limit_series(self, measures: Measurements) -> None:
        """Merge series beyond the cap of their family into the series whose open labels are `other`."""
        for amounts in (measures.increments, measures.maxima):
            for cell in [cell for cell in amounts if cell[0] in _OPEN_POSITIONS]:
                family, labels, field = cell
                known = self._series.setdefault(family, set())
                if labels in known or self._is_merged(family, labels):
                    continue
                if len(known) < self._series_cap - 1:
                    known.add(labels)
                    self._pending_series.append((family, labels))
                    continue
                merged = (family, _merged(family, labels), field)
                amount = amounts.pop(cell)
                if amounts is measures.maxima:
                    amounts[merged] = max(amount, amounts.get(merged, amount))
                else:
                    amounts[merged] = amounts.get(merged, 0.0) + amount
                self.overflow["series"] += 1

    def document(self) -> bytes | None:
        """Return the document that the transaction must write, or None where nothing is new."""
        if not any(self._pending.values()):
            return None
        self._learn_document()
        document = {
            label: {value: day or self._today for value, day in values.items() if value not in self._named}
            for label, values in self._admitted.items()
        }
        for label, values in self._pending.items():
            document.setdefault(label, {}).update(values)
        return msgspec.msgpack.encode(document)

    def committed(self) -> None:
        """Record that the transaction has taken effect."""
        for label, values in self._pending.items():
            self._admitted.setdefault(label, {}).update(values)
        self._new_series += len(self._pending_series)
        self._pending, self._pending_series, self._read = {}, [], None

    def undone(self) -> None:
        """Record that the transaction has not taken effect."""
        for family, labels in self._pending_series:
            self._series[family].discard(labels)
        self._pending, self._pending_series, self._read = {}, [], None

    def drain_overflow(self) -> Counter[str]:
        """Return the overflow counts since the last call, and reset them."""
        taken, self.overflow = self.overflow, Counter()
        return taken

    def _learn_document(self) -> None:
        read, self._read = self._read, None  # once per transaction
        if read is not None:
            for label, values in decode(read()).items():
                self._admitted.setdefault(label, {}).update(values)

    @staticmethod
    def _is_merged(family: str, labels: tuple[str, ...]) -> bool:
        return all(labels[position] in {enums.OTHER, ""} for position in _OPEN_POSITIONS[family])


def decode(document: bytes | None) -> Mapping[str, dict[str, int]]:
    """Return the admitted values of each label, with the day (since 1970) of their last use."""
    try:
        return {} if document is None else _decode(document)
    except msgspec.MsgspecError:
        return {}


def _merged(family: str, labels: tuple[str, ...]) -> tuple[str, ...]:
    open_positions = _OPEN_POSITIONS[family]
    return tuple(enums.OTHER if at in open_positions else value for at, value in enumerate(labels))


def _open_positions() -> dict[str, tuple[int, ...]]:
    found = {}
    for name, family in catalogue.FAMILIES.items():
        positions = tuple(at for at, label in enumerate(family.labels) if label in family.capped)
        if len(positions) > 1:
            found[name] = positions
    return found


_OPEN_POSITIONS = _open_positions()
