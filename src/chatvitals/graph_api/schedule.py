"""When a WABA may be asked next: the interval, what brings a poll forward, what holds it back, and the budget."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.graph_api.client import GraphError, Usage

TEMPLATES_EVERY: Final = 3600.0
_HOUR_MINUTES: Final = 60
_FORWARD_GAP: Final = 3.0  # seconds between two polls at least: many webhooks come at once
_FIRST_PAUSE: Final = 15.0
_LONGEST_PAUSE: Final = 3600.0  # where trying again would not help by itself: rate limits, tokens
_SHORT_PAUSE: Final = 300.0  # where it may
_LONGEST_REST: Final = 86_400.0 + _LONGEST_PAUSE
_TOLERANCE: Final = 5.0
_CALLS_PER_POLL: Final = 2
_HIGH_PERCENT, _VERY_HIGH_PERCENT = 80.0, 95.0


class Kept(msgspec.Struct, array_like=True):
    """What the store keeps of a WABA's polls, so that a restart or another worker goes on where this one was."""

    polled: float = 0.0  # when the last poll began that brought everything
    listed: float = 0.0  # when it last brought the list of templates
    heard: float = 0.0  # the latest webhook about the business that a poll has followed
    failures: int = 0  # in a row
    not_before: float = 0.0
    calls: dict[int, int] = {}  # by minute of Unix time


class Schedule:
    """One WABA's schedule. All times are Unix seconds; nothing here waits or asks.

    Args:
        every: seconds between two polls.
        hourly_calls: requests in an hour, at most.
        kept: what is known from before.
        chance: returns a number from 0 to 1; it spreads polls over time.

    """

    def __init__(
        self, every: float, hourly_calls: int, kept: Kept | None = None, chance: Callable[[], float] = random.random
    ) -> None:
        self.kept = kept or Kept()
        self._every = every
        self._hourly_calls = hourly_calls
        self._chance = chance
        self._stretch = self._spread()
        self._heard = self.kept.heard

    def due(self, now: float) -> float:
        """Return when the next poll is due, seen from `now`; what seems to come from the future counts for nothing."""
        kept = self.kept
        polled = kept.polled if kept.polled <= now + _TOLERANCE else 0.0
        regular = polled + self._every * self._stretch
        if self._heard > kept.heard and self._can_hurry(now):
            regular = min(regular, polled + _FORWARD_GAP)
        return max(regular, kept.not_before if kept.not_before <= now + _LONGEST_REST else 0.0)

    def templates_due(self, now: float) -> bool:
        """Return whether the list of templates is to be asked for with a poll at `now`."""
        return not 0 <= now - self.kept.listed < TEMPLATES_EVERY

    def hear(self, at: float) -> None:
        """Learn that a webhook about the business came at `at`: the next poll is brought forward."""
        self._heard = max(self._heard, at)

    def spend(self, now: float) -> bool:
        """Take one request from the hour's budget; False when nothing is left of it."""
        minute = int(now // 60)
        self.kept.calls = self._recent(now)
        if sum(self.kept.calls.values()) >= self._hourly_calls:
            oldest = min(self.kept.calls, default=minute)
            self.kept.not_before = max(now, (oldest + _HOUR_MINUTES + 1) * 60.0)
            return False
        self.kept.calls[minute] = self.kept.calls.get(minute, 0) + 1
        return True

    def succeeded(self, began: float, usage: Usage, *, listed: bool) -> None:
        """Note a poll that brought everything; heavy use of the API makes the next one come later."""
        self.kept.polled = began
        if listed:
            self.kept.listed = began
        self.kept.heard = self._heard
        self.kept.failures = 0
        self.kept.not_before = began + usage.wait if usage.wait else 0.0
        slower = 4.0 if usage.percent >= _VERY_HIGH_PERCENT else 2.0 if usage.percent >= _HIGH_PERCENT else 1.0
        self._stretch = slower * self._spread()

    def failed(self, now: float, error: GraphError) -> None:
        """Note a poll that failed: each one in a row doubles the pause, and the API's own wish counts too."""
        if error.kind == "budget":
            return  # `spend` has said until when
        self.kept.failures += 1
        lasting = error.kind in {"rate_limited", "unauthorized"}
        longest = max(self._every, _LONGEST_PAUSE if lasting else _SHORT_PAUSE)
        pause = min(min(_FIRST_PAUSE, self._every) * 2.0 ** min(self.kept.failures - 1, 30), longest)
        self.kept.not_before = now + max(pause * (0.75 + 0.5 * self._chance()), error.wait)

    def _spread(self) -> float:
        return 0.95 + 0.1 * self._chance()

    def _can_hurry(self, now: float) -> bool:
        """Return whether the budget allows for more than the regular polls: a storm of webhooks must not use it up."""
        reserved = min(_CALLS_PER_POLL * 3600.0 / self._every, self._hourly_calls / 2)
        return sum(self._recent(now).values()) + reserved < self._hourly_calls

    def _recent(self, now: float) -> dict[int, int]:
        """Return the calls of minutes that lie in the last hour, at least in part."""
        minute = int(now // 60)
        return {m: calls for m, calls in self.kept.calls.items() if abs(minute - m) <= _HOUR_MINUTES}


encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Kept)


def decode(document: bytes | None) -> Kept:
    """Return what the store keeps; what cannot be read is as good as nothing."""
    try:
        return Kept() if document is None else _decoder.decode(document)
    except msgspec.MsgspecError:
        return Kept()
