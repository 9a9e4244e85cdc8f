"""The events of a batch that are about the business, applied to its one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from chatvitals.events import AccountEvent, GraphCall, Poll, PollerState, Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline.account_notices import notice
from chatvitals.quality import clock_corrections, gauges, state, webhook_events
from chatvitals.runtime.interval import Interval
from chatvitals.whatsapp import enums
from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from chatvitals.conversations.identity import Hasher
    from chatvitals.events import BusinessEvent
    from chatvitals.metrics.cardinality import CardinalityLimiter
    from chatvitals.metrics.measurements import Measurements
    from chatvitals.stores.base import Changes, Store, Transaction

    Admit: TypeAlias = Callable[[str, str], str]

_MOST_NAMES = 10_000
_LONGEST_DISPLAY = 64
_DEEPEST = 6
_LONGEST_TEXT = 1024  # of a stored value; a forged value of megabytes would be written with each event
_LEARN_EVERY = 5.0  # seconds


class NamedNumbers:
    """The display numbers that the document knows already.

    Every webhook with messages names its number, and most of them need no look at the document. Only committed numbers
    are remembered here, so a failed batch names its numbers again.
    """

    def __init__(self) -> None:
        self._display: dict[str, str] = {}
        self._own: set[str] = set()
        self._learning = Interval(_LEARN_EVERY)
        self._document: bytes | None = None

    def knows(self, number_id: str, display: str) -> bool:
        """Return whether the document has this display number."""
        return self._display.get(number_id) == display

    def is_own(self, wa_id: str) -> bool:
        """Return whether a sender is one of the business's own numbers."""
        return canonical(wa_id) in self._own

    def learn(self, displays: Iterable[str]) -> None:
        """Remember the business's own numbers by their digits."""
        if len(self._own) > _MOST_NAMES:
            self._own.clear()
        self._own.update(canonical(display) for display in displays if display)

    def up_to_date(self, store: Store, now: float) -> NamedNumbers:
        """Learn the numbers that other workers have named, and return itself.

        Args:
            store: the store with the document, which is read every few seconds.
            now: Unix seconds.

        Raises:
            StoreUnavailableError: the store cannot be reached.

        """
        if self._learning.is_over(now):
            self.learn_document(store.document(state.DOCUMENT), now)
        return self

    def learn_document(self, document: bytes | None, now: float) -> None:
        """Learn the numbers that the document holds at `now`."""
        if document != self._document:
            self.learn(number.display for number in state.decode(document).numbers.values())
        self._document = document
        self._learning.start(now)

    def committed(self, numbers: dict[str, str]) -> None:
        """Remember the numbers that the document knows now."""
        if len(self._display) > _MOST_NAMES:
            self._display.clear()
        self._display.update(numbers)


class QualityBatch:
    """The part of a batch for the document. It is applied only if there is anything to apply."""

    def __init__(self, named: NamedNumbers, measures: Measurements) -> None:
        self._named = named
        self._measures = measures
        self._events: list[BusinessEvent] = []
        self._names: dict[str, tuple[str, float]] = {}
        self.notices: list[str] = []
        """Sentences for the log, once the batch is committed."""

    def name_numbers(self, webhook: Webhook) -> None:
        """Note the display numbers of a webhook that the document may not know."""
        for number_id, display in webhook.numbers.items():
            if not self._named.knows(number_id, display) and len(display) <= _LONGEST_DISPLAY:
                self._names[number_id] = (display, webhook.received)
                self._named.learn((display,))

    def add_account_event(self, event: AccountEvent) -> None:
        """Add a change about a number, a template or an account."""
        if event.field in enums.BUSINESS_FIELDS:
            self._events.append(_bounded(event))

    def is_own(self, wa_id: str) -> bool:
        """Return whether a sender is one of the business's own numbers."""
        return self._named.is_own(wa_id)

    def add(self, event: Poll | PollerState | GraphCall) -> None:
        """Add an event of the poller."""
        if isinstance(event, GraphCall):
            result = event.result if event.result in enums.GRAPH_RESULTS else enums.OTHER
            self._measures.count(catalogue.GRAPH_REQUESTS, (result,))
        else:
            self._events.append(event)

    def fold(self, transaction: Transaction, changes: Changes, admit: Admit, hasher: Hasher, now: float) -> None:
        """Apply everything to the document, as part of this transaction's changes at `now`."""
        if not self._events and not self._names:
            return
        stored = transaction.document(state.DOCUMENT)
        known = state.decode(stored)
        if clock_corrections.pull_back(known, now):
            self._measures.count(catalogue.CLOCK_SKEWS)
        for number_id, (display, received) in self._names.items():
            webhook_events.name_number(known, number_id, display, received, admit)
        for event in sorted(self._events, key=_received):
            is_new = webhook_events.apply_event(known, event, admit, hasher, self._measures)
            if is_new and isinstance(event, AccountEvent) and (sentence := notice(event)):
                self.notices.append(sentence)
        self._named.learn(number.display for number in known.numbers.values())
        if known.waiting:
            webhook_events.release(known, max(map(_received, self._events), default=0.0), self._measures)
        document = state.encode(known)
        if document != stored:
            changes.documents[state.DOCUMENT] = document

    def committed(self) -> None:
        """Remember the numbers that the document knows now."""
        if self._names:
            self._named.committed({number_id: display for number_id, (display, _) in self._names.items()})


def learn_known(store: Store, labels: CardinalityLimiter, named: NamedNumbers, now: float) -> None:
    """Admit the label values of a store's cells and document, and learn the business's own numbers.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    labels.learn(store.cells())
    document = store.document(state.DOCUMENT)
    named.learn_document(document, now)
    known = state.decode(document)
    labels.learn((family.name, values, 0) for family, values, _ in gauges.gauges(known, 0.0))


def _received(event: BusinessEvent) -> float:
    return event.received


def _bounded(event: AccountEvent) -> AccountEvent:
    """Return the event without values that are longer than any stored value of WhatsApp."""
    if len(event.entry) <= _LONGEST_TEXT and not any(map(_is_long, event.value.values())):
        return event
    value = {name: _cut(content) for name, content in event.value.items()}
    return msgspec.structs.replace(event, entry=event.entry[:_LONGEST_TEXT], value=value)


def _is_long(value: object) -> bool:
    return isinstance(value, dict | list) or (isinstance(value, str) and len(value) > _LONGEST_TEXT)


def _cut(value: object, depth: int = 0) -> object:
    if isinstance(value, str):
        return value[:_LONGEST_TEXT]
    if depth < _DEEPEST and isinstance(value, dict):
        return {str(name)[:_LONGEST_TEXT]: _cut(content, depth + 1) for name, content in value.items()}
    if depth < _DEEPEST and isinstance(value, list):
        return [_cut(content, depth + 1) for content in value]
    return value
