"""What is known of the business itself: its numbers, templates and accounts, as one document in the store.

Everything carries the time at which it was true, so that an older event never overwrites a newer one
(conversations/README.md 8), and the gauges are a view of it (`quality_view`), so that they survive restarts.
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec

from chatvitals.whatsapp import enums
from chatvitals.whatsapp.phone_numbers import canonical

DOCUMENT: Final = "quality"
"""The document's name in the store."""

UNKNOWN: Final = enums.RATINGS[0]
_FLAGS_KEPT: Final = 32
DIRECT_SEND: Final = "DIRECT_SEND"


class Reading(msgspec.Struct, array_like=True, gc=False):
    """A value and since when it holds; 0 where nothing has been heard."""

    value: str = ""
    at: float = 0.0

    def update(self, value: str, at: float) -> None:
        """Replace the value unless a newer one is known."""
        if at >= self.at:
            self.value, self.at = value, at


class Limit(msgspec.Struct, array_like=True, gc=False):
    """A messaging limit in people per 24 h; None where none is set or known."""

    users: float | None = None
    at: float = 0.0
    unknown: str = ""  # the last spelling that could not be read, so that a poll does not count it each time

    def update(self, users: float | None, at: float) -> None:
        """Replace the limit unless a newer one is known."""
        if at >= self.at:
            self.users, self.at = users, at


class Flags(msgspec.Struct, array_like=True):
    """Since when a number is flagged: a second flag keeps the first one's time, and only what is newer ends it."""

    times: list[float] = []  # of flags since the last time that it was cleared, ascending
    cleared: float = 0.0

    @property
    def since(self) -> float | None:
        """Return when the oldest flag in force was raised, or None."""
        return self.times[0] if self.times else None

    def raise_(self, at: float) -> None:
        """Note a flag; beyond a number of them the first and the latest ones matter."""
        if at > self.cleared and at not in self.times:
            self.times = sorted([*self.times, at])
            if len(self.times) > _FLAGS_KEPT:
                del self.times[1]

    def clear(self, at: float) -> None:
        """End what was flagged up to `at`."""
        self.cleared = max(self.cleared, at)
        self.times = [time for time in self.times if time > self.cleared]


class Number(msgspec.Struct, array_like=True):
    """One business number."""

    display: str = ""  # digits only
    named: float = 0.0  # when `display` was last heard
    waba: str = ""
    name: str = ""
    rating: str = UNKNOWN
    rated: float = 0.0  # when a poll last listed the number; 0: never
    changed: float = 0.0  # when the rating last changed; 0: never
    status: Reading = msgspec.field(default_factory=Reading)
    flags: Flags = msgspec.field(default_factory=Flags)
    limit: Limit = msgspec.field(default_factory=Limit)
    health: dict[str, Reading] = {}


class Account(msgspec.Struct, array_like=True):
    """One WhatsApp Business Account."""

    limit: Limit = msgspec.field(default_factory=Limit)  # of its portfolio
    health: dict[str, Reading] = {}
    restrictions: dict[str, tuple[float, float]] = {}  # by type: when imposed, when it ends
    lifted: float = 0.0  # all imposed up to then are over
    lifted_direct: float = 0.0  # and those of Direct Send
    listed: float = 0.0  # when a poll last listed all templates

    def restrict(self, restriction: str, at: float, expires: float) -> None:
        """Note a restriction unless a newer one of its type is known."""
        if at >= self.restrictions.get(restriction, (-inf, 0.0))[0]:
            self.restrictions[restriction] = (at, expires)

    def in_force(self, now: float) -> dict[str, float]:
        """Return when each restriction that holds at `now` ends."""
        found = {}
        for restriction, (at, expires) in self.restrictions.items():
            lifted = max(self.lifted, self.lifted_direct) if DIRECT_SEND in restriction else self.lifted
            if at > lifted and expires > now:
                found[restriction] = expires
        return found


class Template(msgspec.Struct, array_like=True):
    """One template in one language, under the label values that it was admitted with."""

    waba: str
    template: str
    language: str
    quality: Reading = msgspec.field(default_factory=Reading)
    status: Reading = msgspec.field(default_factory=Reading)

    @property
    def heard(self) -> float:
        """Return when something was last heard about it."""
        return max(self.quality.at, self.status.at)


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """A webhook about a number of which only the display number is known: nothing has said yet which one it is."""

    display: str
    event: str
    at: float
    received: float
    limit: float | None = None
    has_limit: bool = False


class Quality(msgspec.Struct, array_like=True):
    """The whole document."""

    numbers: dict[str, Number] = {}  # by phone_number_id
    accounts: dict[str, Account] = {}  # by waba_id
    templates: dict[tuple[str, str, str], Template] = {}  # by waba_id, name, language, in full
    waiting: list[Waiting] = []
    seen: bytes = b""  # account events, see `memory`
    heard: float = 0.0  # when the last new webhook about the business came: the reason to poll again at once
    polled: float = 0.0  # when a poll last succeeded
    interval: float = 0.0  # of the poller, in seconds; 0: none has told
    interval_told: float = 0.0

    def number_of(self, display: str) -> str | None:
        """Return the id of the number that displays these digits, the one last so named, or None."""
        digits = canonical(display)
        ids = [
            number_id for number_id, number in self.numbers.items() if digits and canonical(number.display) == digits
        ]
        return max(ids, key=lambda number_id: self.numbers[number_id].named, default=None)

    def account(self, waba: str) -> Account:
        """Return the account of a WABA, a new one where nothing is known of it."""
        return self.accounts.setdefault(waba, Account())


encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Quality)


def decode(document: bytes | None) -> Quality:
    """Return what a document of the store says; an absent one says nothing.

    Nor does one that cannot be read: the next poll tells most of it again, and messages must not wait for that.
    """
    if document is None:
        return Quality()
    try:
        return _decoder.decode(document)
    except msgspec.DecodeError:
        return Quality()
