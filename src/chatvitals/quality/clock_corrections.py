"""Repair of the business's state, whose times a wrong clock has set far ahead.

A poll with such a time would pass for the newest one. All later polls would change nothing until the clock gets there
again, so that a rating could fall unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.conversations.clock_corrections import SET_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.quality.state import Account, Number, Quality, Reading


def pull_back(quality: Quality, now: float) -> bool:
    """Let everything that lies over an hour in the future have happened now. Return whether there was anything.

    Args:
        quality: the state, which is changed.
        now: the right time in Unix seconds.

    """
    if max(quality.polled, quality.heard, quality.interval_told) <= now + SET_BACK:
        return False
    quality.polled, quality.heard = min(quality.polled, now), min(quality.heard, now)
    quality.interval_told = min(quality.interval_told, now)
    for number in quality.numbers.values():
        _number(number, now)
    for account in (*quality.accounts.values(), *quality.unplaced.values()):
        _account(account, now)
    for template in quality.templates.values():
        _readings((template.quality, template.status), now)
    for waiting in quality.waiting:
        waiting.at, waiting.received = min(waiting.at, now), min(waiting.received, now)
    return True


def _number(number: Number, now: float) -> None:
    number.named, number.rated, number.changed = (min(at, now) for at in (number.named, number.rated, number.changed))
    number.limit.at = min(number.limit.at, now)
    number.flags.cleared = min(number.flags.cleared, now)
    number.flags.times = sorted({min(at, now) for at in number.flags.times})
    _readings((number.status, *number.health.values()), now)


def _account(account: Account, now: float) -> None:
    account.limit.at, account.listed = min(account.limit.at, now), min(account.listed, now)
    account.lifted, account.lifted_direct = min(account.lifted, now), min(account.lifted_direct, now)
    account.restrictions = {name: (min(at, now), end) for name, (at, end) in account.restrictions.items()}
    _readings(account.health.values(), now)


def _readings(readings: Iterable[Reading], now: float) -> None:
    for reading in readings:
        reading.at = min(reading.at, now)
