"""The reduction of one batch of events, and its commit to the store in one transaction."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from chatvitals.conversations import clock_corrections
from chatvitals.conversations.state import Rules
from chatvitals.metrics import cardinality
from chatvitals.metrics.cardinality import CardinalityLimiter
from chatvitals.metrics.measurements import Measurements
from chatvitals.pipeline.account_log import AccountLog
from chatvitals.pipeline.contact_batch import DUE_GRAIN, ContactBatch
from chatvitals.pipeline.exemplars import ExemplarLog
from chatvitals.pipeline.identity_keys import first_hasher
from chatvitals.pipeline.known_contacts import KnownContacts
from chatvitals.pipeline.lost_answers import LostAnswers
from chatvitals.pipeline.quality_batch import NamedNumbers, QualityBatch, learn_known
from chatvitals.pipeline.self_metrics import SelfMetrics
from chatvitals.pipeline.sorting import sort
from chatvitals.runtime import greenlets, pacing
from chatvitals.stores.base import ConflictError, StoreUnavailableError, UncertainError
from chatvitals.stores.birth import record_birth

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.conversations.identity import Hasher
    from chatvitals.pipeline.queue_items import Decoded
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

_MOST_DUE: Final = 500
_MOST_SWEEPS: Final = 20  # per scrape or round; the rest comes with the next
_ATTEMPTS: Final = 8
_CONFLICT_PAUSE: Final = 0.002


class BatchCommitter:
    """The way of events from the queue into the store. Only one thread at a time may use it.

    Args:
        settings: the settings of the process.
        store: the store of all processes.
        guard: counts contacts that raise an error in a sweep.
        clock: function that returns the time in Unix seconds.

    """

    own: SelfMetrics
    """The metrics of the process itself."""
    lost: LostAnswers
    """The commits with a lost answer."""

    def __init__(self, settings: Settings, store: Store, guard: ErrorGuard, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._guard = guard
        self._clock = clock
        self._rules = Rules(
            settings.settle_after,
            settings.unanswered_after,
            settings.overdue_after,
            None if settings.in_hours is None else settings.in_hours.contains,
        )
        self._labels = CardinalityLimiter(
            settings.label_cap, numbers=settings.phone_number_id, signed=bool(settings.app_secret)
        )
        self._hasher: Hasher | None = None
        self._named = NamedNumbers()
        self._exemplars = ExemplarLog()
        self._account_log = AccountLog()
        self.reset()

    def reset(self) -> None:
        """Start without amounts of this process, at first and in a forked child. The parent commits its own."""
        self._labels.drain_overflow()
        self.own: SelfMetrics = SelfMetrics(self._guard, self._labels)
        self.lost = LostAnswers(self.own)
        self._known = KnownContacts()

    def hasher(self) -> Hasher:
        """Return the hasher of ids.

        Raises:
            StoreUnavailableError: its secret is in the store, which has not been reached yet.

        """
        if self._hasher is None:
            hasher = first_hasher(self._settings, self._store)
            record_birth(self._store, self._clock())
            learn_known(self._store, self._labels, self._named, self._clock())
            self._hasher = hasher
        return self._hasher

    def commit(self, events: Sequence[Decoded], known_until: Callable[[float], float]) -> None:
        """Reduce the events and commit them in one transaction.

        Args:
            events: the events of one batch.
            known_until: function of the time now. It returns the time up to which all events are known.

        Raises:
            StoreUnavailableError: the store could not be reached, or other workers are always quicker.
            UncertainError: the answer of the store was lost. `lost` holds the events now.

        """
        self._commit(events, known_until)

    def commit_due(self, known_until: Callable[[float], float], *, exact: bool) -> None:
        """Apply work that has become due without any event.

        Args:
            known_until: as in `commit`.
            exact: whether to apply all work that is due now, although due times are rounded up in the store.

        Raises:
            StoreUnavailableError: as in `commit`.

        """
        for _ in range(_MOST_SWEEPS):
            if self._commit((), known_until, most_due=_MOST_DUE) < _MOST_DUE:
                break
        if exact:
            self._commit((), known_until, most_due=_MOST_DUE * _MOST_SWEEPS, ahead=DUE_GRAIN)

    def _commit(
        self,
        batch: Sequence[Decoded],
        known_until: Callable[[float], float],
        *,
        most_due: int = 0,
        ahead: float = 0.0,
    ) -> int:
        """Try until no other worker is quicker. Return the number of contacts that were due."""
        for attempt in range(_ATTEMPTS):
            with suppress(ConflictError):
                return self._attempt(batch, known_until, most_due, ahead)
            greenlets.sleep(random.random() * _CONFLICT_PAUSE * 2**attempt)  # noqa: S311 - only separates workers in time
        raise StoreUnavailableError("the store is too busy: other workers change the same contacts all the time")

    def _attempt(
        self, batch: Sequence[Decoded], known_until: Callable[[float], float], most_due: int, ahead: float
    ) -> int:
        began = time.perf_counter()
        hasher = self.hasher()
        measures = Measurements()
        business = QualityBatch(self._named.up_to_date(self._store, self._clock()), measures)
        own = self.own.drain()
        measures.merge(own.increments)
        try:
            with self._store.transaction() as transaction:
                self._labels.begin(partial(transaction.document, cardinality.DOCUMENT), self._clock())
                now = self._clock()
                events = sort(batch, business, self._labels, measures, now)
                reduction = ContactBatch(transaction, self._rules, hasher, self._labels, measures, self._known)
                reduction.now = now
                if not events:  # one contact that raises an error must not hold up a sweep
                    reduction.on_error = partial(self._guard.report, "reducer")
                reduction.apply(events)
                due = reduction.settle(now + ahead, most_due) if most_due else 0
                changes = reduction.changes(known_until(now))
                business.fold(transaction, changes, self._labels.limit, hasher, now)
                pacing.give_way()
                self._labels.limit_series(measures)
                labels = self._labels.document()
                if labels is not None:
                    changes.documents[cardinality.DOCUMENT] = labels
                self._exemplars.write(transaction, measures, changes, now)
                if changes.states or changes.removed or changes.increments or changes.documents:
                    changes.latest = now + clock_corrections.SET_BACK
                    transaction.commit(changes)
            business.committed()
            self._account_log.write(business.notices)
            reduction.committed(now)
            self._labels.committed()
            self._exemplars.committed(measures)
        except UncertainError as error:
            self.lost.add(error, list(batch), own)
            raise
        except BaseException:
            self.own.give_back(own)
            raise
        finally:
            self.own.landed()
            self._labels.undone()
        if self._labels.wants_to_learn:
            self._labels.learn(self._store.cells())
        if batch or due:
            self.own.committed_within(time.perf_counter() - began)
        return due
