"""Election of the host that shows the shared families where every pod is scraped, by a lease in the store."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from chatvitals.runtime.interval import Interval
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.stores.base import Store

_LEASE = "expose"
_SECONDS = 15.0
_RENEWAL_SECONDS = 5.0
_SCRAPED_WITHIN = 300.0  # a host that is not scraped must not lead, because the numbers would be lost


class LeaderElection:
    """A leader election that requests the lease on scrapes, and renews it between them.

    The holder is the host and not the process, so that all workers behind one target show the same.

    Args:
        store: the store with the lease.
        clock: function that returns the time in Unix seconds.
        holder: a unique name of this host. The default is the host name, which is the pod's name in Kubernetes.

    """

    def __init__(self, store: Store, clock: Callable[[], float], holder: str = "") -> None:
        self._store = store
        self._clock = clock
        self._holder = holder or socket.gethostname()
        self._leads = False
        self._asked = -_SCRAPED_WITHIN
        self._renewal = Interval(_RENEWAL_SECONDS)

    def ask(self) -> bool:
        """Return on a scrape whether this host leads. While the store is away, the last answer stays."""
        now = self._clock()
        self._asked = now
        self._renew(now)
        return self._leads

    def renew(self) -> None:
        """Renew the lease while scrapes come."""
        now = self._clock()
        if self._leads and self._renewal.is_over(now) and now - self._asked < _SCRAPED_WITHIN:
            self._renew(now)

    def _renew(self, now: float) -> None:
        with suppress(StoreUnavailableError):
            self._leads = self._store.lease(_LEASE, self._holder, _SECONDS, now)
            self._renewal.start(now)
