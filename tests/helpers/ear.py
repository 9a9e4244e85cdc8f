"""An observer of sends that keeps its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.http_hooks import SendObserver
from chatvitals.runtime.error_guard import ErrorGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.events import Send

NOW = 1_700_000_000.0


class Ear(SendObserver):
    """An observer with its events. Without a clock, the time stands still."""

    __slots__ = ("events",)

    def __init__(self, clock: Callable[[], float] = lambda: NOW) -> None:
        self.events: list[Send] = []
        super().__init__(self.events.append, ErrorGuard(), clock)

    def told(self) -> list[tuple[bool, str, str]]:
        """Return acceptance, id and code of each send."""
        return [(send.accepted, send.id, send.code) for send in self.events]
