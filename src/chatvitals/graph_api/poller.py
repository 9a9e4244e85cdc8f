"""The poller, which is one thread per process that asks the Graph API for ratings (conversations/README.md 8).

Of all processes that share a store, only the process with the lease of a WABA polls it. The others check now and then
whether the lease is free.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from chatvitals.events import GraphCall, Poll, PollerState
from chatvitals.graph_api import fields, schedule
from chatvitals.graph_api.client import GraphClient, GraphError
from chatvitals.graph_api.schedule import Schedule
from chatvitals.quality import state
from chatvitals.runtime import log_handler
from chatvitals.runtime.leased_thread import LeasedThread
from chatvitals.stores.base import Changes, StoreUnavailableError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

_T = TypeVar("_T")

logger: logging.Logger = logging.getLogger(__name__)

_FIELDS = {"numbers": fields.NUMBERS, "account": fields.ACCOUNT, "templates": fields.TEMPLATES}
_LOOK_SECONDS = 1.0  # how often the holder of a lease checks for new webhooks
_SHORTEST_LEASE = 3.0
_FAILURES_THAT_LAST = 3
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One WABA with the options of its polls."""

    waba: str
    token: str = field(repr=False)
    graph_url: str
    api_version: str
    every: float
    hourly_calls: int
    timeout: float = 10.0


class Poller(LeasedThread):
    """A poller of all targets on one daemon thread. `ensure` starts the thread in the calling process.

    Args:
        store: the shared store with leases, schedules and the state from webhooks.
        emit: receives the results.
        guard: counts internal errors.
        clock: function that returns the time in Unix seconds.

    """

    place = "poller"
    without = "nothing is polled"

    def __init__(
        self,
        store: Store,
        emit: Callable[[Poll | GraphCall | PollerState], None],
        guard: ErrorGuard,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._emit = emit
        self._clock = clock
        self._targets: dict[str, Target] = {}
        super().__init__(guard)

    def _begin(self) -> None:
        """Start without a thread, leases and connections."""
        super()._begin()
        self._watches: dict[str, _Watch] = {}

    def tokens(self) -> dict[str, str]:
        """Return the access token of each account."""
        return {waba: target.token for waba, target in self._targets.items()}

    def add(self, target: Target) -> None:
        """Poll a WABA from now on. A target for the same WABA replaces the old one."""
        with self._lock:
            self._targets[target.waba] = target
        self.ensure()

    def _run(self) -> None:
        stop = self._stop
        with self._guard("poller"):
            while not stop.wait(self._round(stop)):
                pass
        for watch in self._watches.values():
            with self._guard("poller"):
                watch.end()
        self._store.close()

    def _round(self, stop: threading.Event) -> float:
        """Check each WABA once. Return the seconds until the next check."""
        with self._lock:
            targets = list(self._targets.values())
        rest = [_LOOK_SECONDS if not targets else 60.0]
        for target in targets:
            watch = self._watches.get(target.waba)
            if watch is None or watch.target is not target:
                if watch is not None:
                    watch.end()
                watch = self._watches[target.waba] = _Watch(target, self._holder, self._store, self._tell, self._clock)
            with self._guard("poller"):
                try:
                    rest.append(watch.look(stop))
                except StoreUnavailableError as error:
                    self._guard.report("store", message=str(error))
                    rest.append(5 * _LOOK_SECONDS)
        return min(rest)

    def _tell(self, event: Poll | GraphCall | PollerState) -> None:
        if not self._stop.is_set():
            self._emit(event)


class _Watch:
    """The poller's view of one WABA in one process."""

    def __init__(
        self,
        target: Target,
        holder: str,
        store: Store,
        tell: Callable[[Poll | GraphCall | PollerState], None],
        clock: Callable[[], float],
    ) -> None:
        self.target = target
        self._holder = holder
        self._store = store
        self._tell = tell
        self._clock = clock
        self._client: GraphClient | None = None
        self._schedule: Schedule | None = None  # while this process has the lease
        self._lease_seconds = max(target.every, _SHORTEST_LEASE)
        self._renew_at = 0.0
        self._document: bytes | None = None
        self._fields = dict(_FIELDS)  # by edge, without those that the API has refused
        self._refused: dict[str, str] = {}  # the last logged error of each edge that cannot be read
        self._failing = ""  # the last logged error of polls that failed

    def look(self, stop: threading.Event) -> float:
        """Poll if this process has the lease and a poll is due. Return the seconds until the next check."""
        now = self._clock()
        if not self._holds(now):
            return self.target.every / 4
        self._listen()
        schedule_ = self._schedule
        if schedule_ is not None and schedule_.due(now) <= now and not stop.is_set():
            self._poll(schedule_, now)
        return min(_LOOK_SECONDS, self.target.every / 4)

    def end(self) -> None:
        """Give the lease back, so that another process need not wait for its end."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._schedule is not None:
            self._schedule = None
            self._store.lease(self._lease, self._holder, 0.0, self._clock())

    @property
    def _lease(self) -> str:
        return f"poll:{self.target.waba}"

    @property
    def _kept_as(self) -> str:
        return f"poller:{self.target.waba}"

    def _holds(self, now: float) -> bool:
        """Get or renew the lease. It is renewed after a third of its time."""
        if self._schedule is not None and self._renew_at - self._lease_seconds <= now < self._renew_at:
            return True
        if not self._store.lease(self._lease, self._holder, self._lease_seconds, now):
            self._schedule = None
            return False
        self._renew_at = now + self._lease_seconds / 3
        if self._schedule is None:
            kept = schedule.decode(self._store.document(self._kept_as))
            self._schedule = Schedule(self.target.every, self.target.hourly_calls, kept)
            self._tell(PollerState(interval=self.target.every, received=now))
        return True

    def _listen(self) -> None:
        """Check whether any process has committed a webhook about the business since the last poll."""
        document = self._store.document(state.DOCUMENT)
        if document != self._document and self._schedule is not None:
            self._document = document
            self._schedule.hear(state.decode(document).heard)

    def _poll(self, schedule_: Schedule, began: float) -> None:
        """Read everything that is due, edge by edge. Results are emitted even if other edges are refused."""
        poll = Poll(waba_id=self.target.waba, received=began)
        listed = schedule_.templates_due(began)
        faults: list[GraphError] = []
        try:
            poll.numbers = self._edge("numbers", self._numbers, faults)
            poll.account = self._edge("account", self._account, faults)
            if listed:
                poll.templates = self._edge("templates", self._templates, faults)
        except GraphError as error:
            faults.append(error)
        found = poll.numbers is not None or poll.account is not None or poll.templates is not None
        # A refusal is an answer. If other edges answered, the refused edge is read again at the usual time.
        failure = next((error for error in faults if not (found and error.refused)), None)
        if failure is not None:
            schedule_.failed(self._clock(), failure)
            self._log_failure(failure, schedule_.kept.failures)
        else:
            self._failing = ""
            schedule_.succeeded(began, self._own_client().usage, listed=listed)
        if found:
            self._tell(poll)
        if self._schedule is schedule_:  # otherwise another process has taken over with its own schedule
            self._keep(schedule_)

    def _log_failure(self, error: GraphError, failures: int) -> None:
        """Log an error that lasts, once until a poll succeeds."""
        if error.kind == "budget" or (error.kind != "unauthorized" and failures < _FAILURES_THAT_LAST):
            return
        if str(error) != self._failing and str(error) not in self._refused.values():
            self._failing = str(error)
            _warn(
                f"The poller cannot read account {self.target.waba}: {error}. Its ratings keep their last values. "
                "See `chatvitals doctor`."
            )

    def _edge(self, edge: str, ask: Callable[[str], _T], faults: list[GraphError]) -> _T | None:
        """Read one edge. A refusal is recorded and logged, and the other edges are still read.

        Raises:
            GraphError: the other edges would fail, too.

        """
        try:
            answer, self._fields[edge] = fields.ask(ask, self._fields[edge])
        except GraphError as error:
            if not error.refused:
                raise
            faults.append(error)
            if self._refused.get(edge) != str(error):
                self._refused[edge] = str(error)
                _warn(
                    f"The poller cannot read the {edge} of account {self.target.waba}: {error}. Check the permissions "
                    "of the token (`chatvitals doctor`). The rest is polled."
                )
            return None
        self._refused.pop(edge, None)
        return answer

    def _numbers(self, names: str) -> list[dict[str, object]]:
        return self._own_client().pages(f"{self.target.waba}/phone_numbers", fields=names)

    def _account(self, names: str) -> dict[str, object]:
        return self._own_client().get(self.target.waba, fields=names)

    def _templates(self, names: str) -> list[dict[str, object]]:
        return self._own_client().pages(f"{self.target.waba}/message_templates", limit=200, fields=names)

    def _own_client(self) -> GraphClient:
        if self._client is None:
            target = self.target
            self._client = GraphClient(
                target.token,
                url=target.graph_url,
                version=target.api_version,
                timeout=target.timeout,
                before=self._before_call,
                after=self._count,
            )
        return self._client

    def _before_call(self) -> None:
        """Take a request from the budget. The store is updated first, because another process may take over."""
        now = self._clock()
        if not self._holds(now) or self._schedule is None:
            raise GraphError("budget", "another process polls now")
        spent = self._schedule.spend(now)
        self._keep(self._schedule)
        if not spent:
            self._count("budget")
            raise GraphError("budget", f"the budget of {self.target.hourly_calls} calls an hour is used up")

    def _count(self, result: str) -> None:
        self._tell(GraphCall(waba_id=self.target.waba, result=result))

    def _keep(self, schedule_: Schedule) -> None:
        with self._store.transaction() as transaction:
            transaction.commit(Changes(documents={self._kept_as: schedule.encode(schedule_.kept)}))


def _warn(sentence: str) -> None:
    log_handler.log(logger, logging.WARNING, "%s", sentence, extra={"chatvitals_topic": "poller"})
