"""A walk over all keys of a store, once a day. It finds rows that have no hurry, without an index by time."""

from __future__ import annotations

from typing import Final

_KEYS: Final = 2**64
_LEAST_KEY: Final = -(2**63)
_MILLISECONDS_A_DAY: Final = 86_400_000
_LATEST: Final = 1e12  # seconds, for callers that ask for everything


class DailyWalk:
    """The place of a walk over 64-bit keys.

    The time of day says how far the walk should be. A new walk is a day behind, so that it sees each key at once.
    Nothing is stored: a process that starts makes its first round as fast as its caller lets it.

    Example:
        >>> walk = DailyWalk()
        >>> first, last = walk.stretch(1_800_000_000.0)
        >>> walk.seen(last)

    """

    def __init__(self) -> None:
        self._place: int | None = None  # keys since 1970, at one round a day

    def stretch(self, now: float) -> tuple[int, int] | None:
        """Return the first and last key to look at, or None where the walk has nothing to do yet.

        Args:
            now: Unix seconds. After a jump of more than a day the walk begins a new round.

        """
        goal = int(min(now, _LATEST) * 1000) * _KEYS // _MILLISECONDS_A_DAY
        place = self._place
        if place is None or abs(goal - place) > _KEYS:
            self._place = place = goal - _KEYS
        if place >= goal:
            return None
        begin = place % _KEYS
        end = min(begin + goal - place, _KEYS)
        return _LEAST_KEY + begin, _LEAST_KEY + end - 1

    def seen(self, key: int) -> None:
        """Go on behind `key`, which belongs to the latest stretch."""
        place = self._place or 0
        self._place = place - place % _KEYS + key - _LEAST_KEY + 1
