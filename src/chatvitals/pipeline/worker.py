"""The bounded queue between the bot and the store, and the thread that commits it in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from chatvitals.pipeline.batch_committer import BatchCommitter
from chatvitals.pipeline.dropped import DroppedEvents
from chatvitals.pipeline.queue_items import Decoded, Queued, decode, event_count, split
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.runtime import fork_hooks, greenlets, interrupts, pacing
from chatvitals.runtime.interval import Interval
from chatvitals.stores.base import StoreUnavailableError, UncertainError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.conversations.identity import Hasher
    from chatvitals.pipeline.self_metrics import SelfMetrics
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

_LINGER = 0.1  # seconds in which a batch collects events, so that one commit serves many
_MOST_PERIODS = 3  # of it, while many events come: each batch costs about a millisecond, however small it is
_FEW_EVENTS = 10  # that are committed after the first period
_ROUND_SECONDS = 1.0
_MOST_EVENTS = 500
_LONGEST_PAUSE = 5.0


class Pipeline:
    """The queue of one process. The bot waits only for `put`. All other work happens on a daemon thread."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        guard: ErrorGuard,
        clock: Callable[[], float],
        *,
        background: bool = True,
    ) -> None:
        self.capacity: int = settings.queue_size
        self.store_up: bool = False
        self._store = store
        self._guard = guard
        self.clock = clock
        self._background = background
        self._committer = BatchCommitter(settings, store, guard, clock)
        self._inline = False  # whether `put` commits, because a thread cannot be started or would come too late
        self._retry_at = 0.0  # monotonic seconds; before, `put` does not wait for a store that was away
        self.periodic_tasks: list[Callable[[], None]] = []  # run in each round of the thread, about once a second
        self.before_exit: Callable[[], None] = self.close  # for processes that end without `atexit`
        self._closing = False
        self._closed = False  # whether nothing will commit any more
        self._reset()
        fork_hooks.watch(self)

    def _reset(self) -> None:
        """Start with an empty queue and no thread, at first and in a forked child. The parent keeps its events."""
        self.own: SelfMetrics = self._committer.own
        self._lost = self._committer.lost
        self._queue: deque[Queued] = deque()
        self._size = 0
        self._dropped = DroppedEvents(self.own)
        self._next: Decoded | None = None  # the item after the one that is committed by itself
        self._lock = threading.RLock()  # of the queue, held briefly; reentrant, as the garbage collector may call `put`
        self._work = threading.RLock()  # of the store; held for a commit
        self._wake = threading.Event()
        self._woken = False  # whether `put` has set it, which is asked for each event
        self._served = threading.Condition(self._lock)
        self._asked = self._answered = 0  # number of requests to settle everything, and of those that have been served
        self._thread: threading.Thread | None = None
        self._committing = 0  # id of the thread that commits in `put`

    def before_fork(self) -> None:
        """Do nothing, because a child takes nothing over."""

    def after_fork_in_parent(self) -> None:
        """Do nothing, because the parent goes on."""

    def after_fork_in_child(self) -> None:
        """Reset in the forked child. Queue, counts and thread belong to the parent, and a lock may stay held."""
        self._guard.reset()
        self._committer.reset()
        self._reset()

    def put(self, event: Queued) -> None:
        """Enqueue an event. In a full queue, the oldest event makes room and is counted."""
        size = event.weight if type(event) is RawWebhook else event_count(event)
        with self._lock:
            if self._closed:
                self._refuse(size)
                return
            self._queue.append(event)
            self._size += size
            if self._size > self.capacity:
                self._size = self._dropped.make_room(self._queue, self._size, self.capacity)
        if self._background:
            if self._thread is None:
                self._start()
            if not self._woken:
                self._woken = True
                self._wake.set()
        if self._inline:
            self._commit_here()

    @property
    def waiting(self) -> int:
        """The number of events that wait to be committed."""
        return self._size

    def drain(self) -> bool:
        """Commit the events that wait now. Return False if the store could not accept it.

        Events that come meanwhile wait for the next call, because a commit costs about as much as several events.
        """
        with self._work:
            self._dropped.count()
            if not self._ask_again():
                return False
            left = len(self._queue)
            while left > 0 and self._queue:
                batch, done = self._next_batch(left)
                left -= done
                if not self._commit_or_keep(batch):
                    return False
            return True

    def sweep(self, *, exact: bool = True) -> bool:
        """Apply work that has become due without any event. Return False if the store could not be reached.

        Due times are rounded up in the store. `exact` nevertheless applies all work that is due now.
        """
        with self._work:
            if not self._ask_again():
                return False
            try:
                self._committer.commit_due(self._known_until, exact=exact)
                self.store_up = True
            except StoreUnavailableError as error:
                self._down(error)
                return False
            return True

    def settle(self, timeout: float = 0.5) -> None:
        """Commit all events and due work so far, within `timeout` seconds as far as possible."""
        self._dropped.count()  # the thread may rest while the store is away
        if not self._background:
            self.drain()
            self.sweep()
            return
        if self._thread is None:
            self._start()
        deadline = time.monotonic() + timeout
        with self._served:
            self._asked += 1
            ticket = self._asked
            self._wake.set()
            while self._answered < ticket and not self._closing:
                left = deadline - time.monotonic()
                if left <= 0 or not self._served.wait(left):
                    return

    def flush(self, timeout: float = 2.0) -> None:
        """Commit all events so far within `timeout` seconds as far as possible. Do nothing where none have come."""
        if self._thread is not None or self._queue:
            self.settle(timeout)

    def close(self, timeout: float = 2.0) -> None:
        """Commit waiting events within `timeout` seconds, and stop the thread. The rest is counted as dropped."""
        thread = self._thread
        self._closing = True
        if thread is not None and thread.is_alive():
            self._wake.set()
            thread.join(timeout)
        elif not self._background:
            self.drain()
        self._dropped.count()
        with self._lock:
            self._closed = self._background
            left = len(self._lost) + sum(map(event_count, self._queue))
            self._queue.clear()
            self._lost.clear()
            self._size = 0
        if left:
            self.own.drop("store", left)
            self._guard.advice.once(
                f"This process ends before it could write all events to the store. Missing in the numbers: {left}."
            )

    def _commit_here(self) -> None:
        """Commit on the caller's thread. The garbage collector may call `put` within a commit."""
        if self._committing == threading.get_ident() or time.monotonic() < self._retry_at:
            return
        with self._work:
            self._committing = threading.get_ident()
            try:
                done = self.drain()
            finally:
                self._committing = 0
        if not done:
            self._retry_at = time.monotonic() + _LONGEST_PAUSE

    def _refuse(self, size: int) -> None:
        """Count events that come after the end, such as those of the bot's own `atexit` functions."""
        self.own.drop("store", size)
        self._guard.advice.once(
            "Events came after vitals.close() or after the end of this process had begun. They are missing in the "
            "numbers. Call vitals.close() last."
        )

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closing:
                return
            if fork_hooks.is_pool_worker():
                self._background, self._inline = False, True
                fork_hooks.before_exit(self.before_exit)
                return
            self._thread = threading.Thread(target=self._run, name="chatvitals", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no threads here, or at the interpreter's end: commit on the caller's thread
                self._thread = None
                self._background = False
                self._inline = True
                self._guard.report("pipeline", error, message="no thread could be started")
                return
            fork_hooks.before_exit(self.before_exit)

    def _run(self) -> None:
        pacing.begin()
        while not self._closing:
            with self._guard("pipeline"):  # without memory, anything may raise, and the thread must go on
                self._rounds()
            if not self._closing:
                greenlets.sleep(_LINGER)
        with self._guard("pipeline"):
            self.drain()
        self._store.close()

    def _rounds(self) -> None:
        """Work until the pipeline closes."""
        pause = 0.0
        sweep = Interval(_ROUND_SECONDS)
        while not self._closing:
            self._wake.wait(_ROUND_SECONDS)
            self._collect()
            self._wake.clear()
            self._woken = False  # last, so that an event that comes between both is drained now
            asked = self._asked
            done = False
            for chore in self.periodic_tasks:
                with self._guard("pipeline"):
                    chore()
            with self._guard("pipeline"):
                done = self.drain()
                exact = asked != self._answered
                if done and (exact or sweep.is_over(time.monotonic())):
                    sweep.start(time.monotonic())
                    done = self.sweep(exact=exact)
            with self._served:
                self._answered = asked
                self._served.notify_all()
            pause = 0.0 if done else min(_LONGEST_PAUSE, 2 * pause or 0.1)
            self._rest(pause)

    def _collect(self) -> None:
        """Wait while a batch collects events, unless someone waits for it or it is large enough."""
        enough = min(_MOST_EVENTS, self.capacity // 4)
        for _ in range(_MOST_PERIODS):
            if self._asked != self._answered or self._closing:
                break
            greenlets.sleep(_LINGER)
            if not _FEW_EVENTS < self._size < enough:
                break

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt at the store, but not beyond the end."""
        deadline = time.monotonic() + seconds
        while not self._closing and time.monotonic() < deadline:
            greenlets.sleep(min(0.05, seconds))

    def _next_batch(self, most: int) -> tuple[list[Decoded], int]:
        """Take at most `most` items from the queue. Return them decoded, and by how many the queue is shorter."""
        batch: list[Queued] = []
        size = 0
        with self._lock:
            while self._queue and size < _MOST_EVENTS and len(batch) < most:
                event = self._queue.popleft()
                size += event_count(event)
                batch.append(event)
            self._size -= size
        pacing.hurry(self._size > _MOST_EVENTS)
        read, later = decode(batch, _MOST_EVENTS)
        self._put_back(later)
        return read, len(batch) - len(later)

    def _ask_again(self) -> bool:
        """Send commits with a lost answer once more. Return False while the store does not answer."""
        try:
            for batch, took_effect in self._lost.ask():
                with self._lock:
                    self._size -= sum(map(event_count, batch))
                if not took_effect:
                    self._put_back(batch)
        except StoreUnavailableError as error:
            self._down(error)
            return False
        return True

    def _commit_or_keep(self, batch: list[Decoded]) -> bool:
        try:
            self._commit(batch)
        except StoreUnavailableError as error:
            if not isinstance(error, UncertainError):
                self._put_back(batch)
            self._down(error)
            return False
        except BaseException as error:
            if not isinstance(error, Exception) or interrupts.within(error) is not None:
                self._put_back(batch)  # a time limit has hit a commit on the bot's own thread, and no event is bad
                raise
            if not self._one_by_one([part for event in batch for part in split(event, 1)]):
                self._guard.report("reducer", error)  # none of the events alone is wrong
        return True

    def _one_by_one(self, batch: list[Decoded]) -> bool:
        """Commit each event separately. Return whether bad events were found."""
        found = False
        for position, event in enumerate(batch):
            self._next = batch[position + 1] if position + 1 < len(batch) else None
            try:
                self._commit([event])
            except StoreUnavailableError as error:
                self._put_back(batch[position + isinstance(error, UncertainError) :])
                return True
            except BaseException as error:
                if not isinstance(error, Exception) or interrupts.within(error) is not None:
                    self._put_back(batch[position:])
                    raise
                found = True
                self._guard.report("reducer", error)
        return found

    def _put_back(self, batch: list[Decoded]) -> None:
        """Put items back to the front of the queue."""
        self._next = None
        with self._lock:
            self._queue.extendleft(reversed(batch))
            self._size += sum(map(event_count, batch))

    def _known_until(self, now: float) -> float:
        """Return the time up to which all events are known, which is when the next waiting item arrived."""
        with self._lock:
            return min(now, getattr(self._next or next(iter(self._queue), None), "received", now))

    def _commit(self, batch: list[Decoded]) -> None:
        try:
            self._committer.commit(batch, self._known_until)
        except UncertainError:  # its events stay with this process until the store shows their result
            with self._lock:
                self._size += sum(map(event_count, batch))
            raise
        self.store_up = True

    def hasher(self) -> Hasher:
        """Return the hasher of ids.

        Raises:
            StoreUnavailableError: its secret is in the store, which has not been reached yet.

        """
        return self._committer.hasher()

    def _down(self, error: StoreUnavailableError) -> None:
        self.store_up = False
        self._guard.report("store", message=str(error))
        with self._lock:  # events have come during the attempt
            self._size = self._dropped.make_room(self._queue, self._size, self.capacity)
        self._dropped.count()
