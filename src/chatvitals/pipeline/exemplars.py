"""Spans of settled turns, and exemplars in one document of the store.

The exemplar of a bucket of a number's histogram is the latest observation that belongs to a sampled trace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Cell, Exemplar
from chatvitals.runtime import spans
from chatvitals.runtime.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.metrics.measurements import Measurements
    from chatvitals.stores.base import Changes, Transaction

DOCUMENT: Final = "exemplars"
_SECONDS: Final = 10.0
_MOST_KEPT: Final = 1000  # about 120 bytes each; of a number there are at most 53, one for each bucket of four families

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[Cell, Exemplar]]).decode


def decode(document: bytes | None) -> dict[Cell, Exemplar]:
    """Return the exemplars of a document, by bucket.

    Raises:
        msgspec.MsgspecError: another version wrote it.

    """
    return {} if document is None else dict(_decode(document))


class ExemplarLog:
    """A log of exemplars. It writes them with a commit at most once in ten seconds."""

    def __init__(self) -> None:
        self._waiting: dict[Cell, Exemplar] = {}
        self._interval = Interval(_SECONDS)
        self._in_flight: float | None = None

    def write(self, transaction: Transaction, measures: Measurements, changes: Changes, now: float) -> None:
        """Collect a batch's exemplars, and add the document to its changes when it is due. A batch may come again.

        Args:
            transaction: the transaction of the batch.
            measures: the measurements of the batch.
            changes: the changes that the batch is about to commit.
            now: Unix seconds.

        """
        if measures.exemplars:
            self._waiting = _latest((*self._waiting.items(), *measures.exemplars.items()))
        self._in_flight = None
        if not self._waiting or not self._interval.is_over(now):
            return
        self._in_flight = now
        try:
            known = decode(transaction.document(DOCUMENT))
        except msgspec.MsgspecError:
            known = {}  # another version wrote it, and this one's are newer
        latest = _latest((*known.items(), *self._waiting.items()))
        changes.documents[DOCUMENT] = _encode(list(latest.items()))

    def committed(self, measures: Measurements) -> None:
        """Create the spans of the batch's settled turns, after its commit."""
        for turn in measures.turns:
            known = {f"chatvitals.{name}": value for name, value in turn.labels.items()}
            spans.record_turn(turn.trace, turn.reply, turn.start, turn.end, known)
        if self._in_flight is not None:
            self._interval.start(self._in_flight)
            self._in_flight = None
            self._waiting = {}


def _latest(found: Iterable[tuple[Cell, Exemplar]]) -> dict[Cell, Exemplar]:
    """Return the latest exemplar of each bucket of a number's family, with a limit on their number."""
    latest: dict[tuple[str, str, int], tuple[Cell, Exemplar]] = {}
    for cell, exemplar in sorted(found, key=lambda item: item[1].at)[-_MOST_KEPT:]:
        family, labels, bucket = cell
        number = labels[0] if catalogue.FAMILIES[family].per_number else ""
        latest[family, number, bucket] = (cell, exemplar)
    return dict(latest.values())
