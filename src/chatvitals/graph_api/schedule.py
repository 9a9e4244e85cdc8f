"""The schedule of a WABA's polls: interval, earlier and later polls, and the budget of requests."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.graph_api.client import GraphError, Usage

TEMPLATES_EVERY: Final = 3600.0
_HOUR_MINUTES: Final = 60
_FORWARD_GAP: Final = 3.0  # least seconds between two polls, because many webhooks come at once
_FIRST_PAUSE: Final = 15.0
_LONGEST_PAUSE: Final = 3600.0  # for errors that last, such as rate limits and invalid tokens
_SHORT_PAUSE: Final = 300.0  # for errors that may end soon
_LONGEST_REST: Final = 86_400.0 + _LONGEST_PAUSE
_TOLERANCE: Final = 5.0
_CALLS_PER_POLL: Final = 2
_HIGH_PERCENT, _VERY_HIGH_PERCENT = 80.0, 95.0


class Kept(msgspec.Struct, array_like=True):
    """The stored state of a WABA's polls, so that a restart or another worker can go on."""

    polled: float = 0.0  # start of the last complete poll
    listed: float = 0.0  # start of the last poll with the list of templates
    heard: float = 0.0  # time of the latest webhook about the business that a poll has followed
    failures: int = 0  # number of failures in a row
    not_before: float = 0.0
    calls: dict[int, int] = {}  # by minute of Unix time


class Schedule:
    """One WABA's schedule. All times are Unix seconds. Nothing here waits or sends requests.

    Args:
        every: seconds between two polls.
        hourly_calls: most requests in an hour.
        kept: the stored state.
        chance: function that returns a number from 0 to 1, which spreads polls over time.

    """

    def __init__(
        self, every: float, hourly_calls: int, kept: Kept | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self.kept: Kept = kept or Kept()
        self._every = every
        self._hourly_calls = hourly_calls
        self._chance = chance
        self._stretch = self._spread()
        self._heard = self.kept.heard

    def due(self, now: float) -> float:
        """Return the time of the next poll, seen from `now`. Stored times in the future are ignored."""
        kept = self.kept
        polled = kept.polled if kept.polled <= now + _TOLERANCE else 0.0
        regular = polled + self._every * self._stretch
        if self._heard > kept.heard and self._can_hurry(now):
            regular = min(regular, polled + _FORWARD_GAP)
        return max(regular, kept.not_before if kept.not_before <= now + _LONGEST_REST else 0.0)

    def templates_due(self, now: float) -> bool:
        """Return whether a poll at `now` should read the list of templates."""
        return not 0 <= now - self.kept.listed < TEMPLATES_EVERY

    def hear(self, at: float) -> None:
        """Record that a webhook about the business came at `at`. It brings the next poll forward."""
        self._heard = max(self._heard, at)

    def spend(self, now: float) -> bool:
        """Take one request from the hour's budget. Return False when nothing is left."""
        minute = int(now // 60)
        self.kept.calls = self._recent(now)
        if sum(self.kept.calls.values()) >= self._hourly_calls:
            oldest = min(self.kept.calls, default=minute)
            self.kept.not_before = max(now, (oldest + _HOUR_MINUTES + 1) * 60.0)
            return False
        self.kept.calls[minute] = self.kept.calls.get(minute, 0) + 1
        return True

    def succeeded(self, began: float, usage: Usage, *, listed: bool) -> None:
        """Record a complete poll. Heavy use of the API delays the next poll."""
        self.kept.polled = began
        if listed:
            self.kept.listed = began
        self.kept.heard = self._heard
        self.kept.failures = 0
        self.kept.not_before = began + usage.wait if usage.wait else 0.0
        slower = 4.0 if usage.percent >= _VERY_HIGH_PERCENT else 2.0 if usage.percent >= _HIGH_PERCENT else 1.0
        self._stretch = slower * self._spread()

    def failed(self, now: float, error: GraphError) -> None:
        """Record a failed poll. Each failure in a row doubles the pause, and the API's own request counts, too."""
        if error.kind == "budget":
            return  # `spend` has set the end of the pause
        self.kept.failures += 1
        lasting = error.kind in {"rate_limited", "unauthorized"}
        longest = max(self._every, _LONGEST_PAUSE if lasting else _SHORT_PAUSE)
        pause = min(min(_FIRST_PAUSE, self._every) * 2.0 ** min(self.kept.failures - 1, 30), longest)
        self.kept.not_before = now + max(pause * (0.75 + 0.5 * self._chance()), error.wait)

    def _spread(self) -> float:
        return 0.95 + 0.1 * self._chance()

    def _can_hurry(self, now: float) -> bool:
        """Return whether the budget allows extra polls, because a storm of webhooks must not use it up."""
        reserved = min(_CALLS_PER_POLL * 3600.0 / self._every, self._hourly_calls / 2)
        return sum(self._recent(now).values()) + reserved < self._hourly_calls

    def _recent(self, now: float) -> dict[int, int]:
        """Return the calls of the minutes that lie in the last hour, at least in part."""
        minute = int(now // 60)
        return {m: calls for m, calls in self.kept.calls.items() if abs(minute - m) <= _HOUR_MINUTES}


encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Kept)


def decode(document: bytes | None) -> Kept:
    """Return the stored state, or an empty state where it cannot be read."""
    try:
        return Kept() if document is None else _decoder.decode(document)
    except msgspec.MsgspecError:
        return Kept()
