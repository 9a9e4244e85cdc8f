"""Which host shows the shared families where every pod is scraped: the holder of a lease in the store."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.stores.base import Store

_LEASE = "expose"
_SECONDS = 15.0
_RENEW_EVERY = 5.0
_SCRAPED_WITHIN = 300.0  # whom nobody scrapes must not lead: the numbers would be seen nowhere


class LeaderElection:
    """Asks for the lease when it is scraped, and renews it between scrapes.

    The host is the holder, not the process: of several workers behind one target, whichever answers shows the same.

    Args:
        store: where the lease is.
        clock: returns the time in Unix seconds.
        holder: a name of this host that no other target has; by default its host name, in Kubernetes the pod's.

    """

    def __init__(self, store: Store, clock: Callable[[], float], holder: str = "") -> None:
        self._store = store
        self._clock = clock
        self._holder = holder or socket.gethostname()
        self._leads = False
        self._asked = -_SCRAPED_WITHIN
        self._renewed = 0.0

    def ask(self) -> bool:
        """Say on a scrape whether this host leads; while the store is away, as before: nobody else can take over."""
        now = self._clock()
        self._asked = now
        self._renew(now)
        return self._leads

    def renew(self) -> None:
        """Keep the lease while scrapes come."""
        now = self._clock()
        if self._leads and now - self._renewed >= _RENEW_EVERY and now - self._asked < _SCRAPED_WITHIN:
            self._renew(now)

    def _renew(self, now: float) -> None:
        with suppress(StoreUnavailableError):
            self._leads = self._store.lease(_LEASE, self._holder, _SECONDS, now)
            self._renewed = now
