"""The known state of the business: numbers, templates and accounts, as one document in the store.

Each value has the time at which it was true, so that an older event never overwrites a newer one
(conversations/README.md 8). The gauges are computed from this state, so they survive restarts (`quality.gauges`).
"""

from math import inf
from typing import Final, Self

import msgspec

from chatvitals.whatsapp import enums
from chatvitals.whatsapp.phone_numbers import canonical

DOCUMENT: Final = "quality"
"""The document's name in the store."""

UNKNOWN: Final = enums.RATINGS[0]
_FLAGS_KEPT: Final = 32
_MOST_UNPLACED: Final = 256
DIRECT_SEND: Final = "DIRECT_SEND"


class Reading(msgspec.Struct, array_like=True, gc=False):
    """A value and the time since which it holds. The time is 0 where nothing is known."""

    value: str = ""
    at: float = 0.0

    def update(self, value: str, at: float) -> None:
        """Replace the value unless a newer one is known."""
        if at >= self.at:
            self.value, self.at = value, at


class Limit(msgspec.Struct, array_like=True, gc=False):
    """A messaging limit in people per 24 h, or None where no limit is set or known."""

    users: float | None = None
    at: float = 0.0
    unknown: str = ""  # the last unreadable spelling, so that a poll does not count it each time

    def update(self, users: float | None, at: float) -> None:
        """Replace the limit unless a newer one is known."""
        if at >= self.at:
            self.users, self.at = users, at


class Flags(msgspec.Struct, array_like=True):
    """The time since which a number is flagged. A second flag keeps the first time, and only a newer event ends it."""

    times: list[float] = []  # times of flags since the number was last cleared, ascending
    cleared: float = 0.0

    @property
    def since(self) -> float | None:
        """The time of the oldest flag in force, or None."""
        return self.times[0] if self.times else None

    def raise_(self, at: float) -> None:
        """Record a flag. Beyond the limit, only the first and the latest flags are kept."""
        if at > self.cleared and at not in self.times:
            self.times = sorted([*self.times, at])
            if len(self.times) > _FLAGS_KEPT:
                del self.times[1]

    def clear(self, at: float) -> None:
        """End all flags up to `at`."""
        self.cleared = max(self.cleared, at)
        self.times = [time for time in self.times if time > self.cleared]


class Number(msgspec.Struct, array_like=True):
    """One business number."""

    display: str = ""  # digits only
    named: float = 0.0  # time of the last event with `display`
    waba: str = ""
    name: str = ""
    rating: str = UNKNOWN
    rated: float = 0.0  # time of the last poll that listed the number, or 0
    changed: float = 0.0  # time of the last change of the rating, or 0
    status: Reading = msgspec.field(default_factory=Reading)
    flags: Flags = msgspec.field(default_factory=Flags)
    limit: Limit = msgspec.field(default_factory=Limit)
    health: dict[str, Reading] = {}


class Account(msgspec.Struct, array_like=True):
    """One WhatsApp Business Account."""

    limit: Limit = msgspec.field(default_factory=Limit)  # of its portfolio
    health: dict[str, Reading] = {}
    restrictions: dict[str, tuple[float, float]] = {}  # by type: start and end
    lifted: float = 0.0  # all restrictions that started up to then are over
    lifted_direct: float = 0.0  # the same for restrictions of Direct Send
    listed: float = 0.0  # time of the last poll that listed all templates

    def restrict(self, restriction: str, at: float, expires: float) -> None:
        """Record a restriction unless a newer restriction of its type is known."""
        if at >= self.restrictions.get(restriction, (-inf, 0.0))[0]:
            self.restrictions[restriction] = (at, expires)

    def take(self, other: Self) -> None:
        """Take over the restrictions and lifts of another record of the same account."""
        for restriction, (at, expires) in other.restrictions.items():
            self.restrict(restriction, at, expires)
        self.lifted = max(self.lifted, other.lifted)
        self.lifted_direct = max(self.lifted_direct, other.lifted_direct)

    def in_force(self, now: float) -> dict[str, float]:
        """Return the end of each restriction that is in force at `now`, by type."""
        found = {}
        for restriction, (at, expires) in self.restrictions.items():
            lifted = max(self.lifted, self.lifted_direct) if DIRECT_SEND in restriction else self.lifted
            if at > lifted and expires > now:
                found[restriction] = expires
        return found


class Template(msgspec.Struct, array_like=True):
    """One template in one language, with its admitted label values."""

    waba: str
    template: str
    language: str
    quality: Reading = msgspec.field(default_factory=Reading)
    status: Reading = msgspec.field(default_factory=Reading)

    @property
    def heard(self) -> float:
        """The time of the latest event about the template."""
        return max(self.quality.at, self.status.at)


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """A webhook about a number that waits until the id of its display number is known."""

    display: str
    event: str
    at: float
    received: float
    limit: float | None = None
    has_limit: bool = False


class Quality(msgspec.Struct, array_like=True):
    """The whole state of the business."""

    numbers: dict[str, Number] = {}  # by phone_number_id
    accounts: dict[str, Account] = {}  # by waba_id
    templates: dict[tuple[str, str, str], Template] = {}  # by waba_id, name, language, in full
    waiting: list[Waiting] = []
    seen: bytes = b""  # account events, see `message_log`
    heard: float = 0.0  # time of the last new webhook about the business, after which the poller polls at once
    polled: float = 0.0  # time of the last successful poll
    interval: float = 0.0  # seconds between two polls, or 0 where no poller has reported
    interval_told: float = 0.0
    unplaced: dict[str, Account] = {}  # accounts that only a number is known of, by its display number

    def number_of(self, display: str) -> str | None:
        """Return the id of the number that displays these digits, or None. The latest naming counts."""
        digits = canonical(display)
        ids = [
            number_id for number_id, number in self.numbers.items() if digits and canonical(number.display) == digits
        ]
        return max(ids, key=lambda number_id: self.numbers[number_id].named, default=None)

    def account(self, waba: str) -> Account:
        """Return the account of a WABA, or a new account where none is known."""
        return self.accounts.setdefault(waba, Account())

    def account_of(self, display: str) -> Account:
        """Return the account of the number that displays these digits. Its WABA may be unknown until a poll."""
        number_id = self.number_of(display)
        waba = "" if number_id is None else self.numbers[number_id].waba
        digits = canonical(display)
        if waba or not digits or (digits not in self.unplaced and len(self.unplaced) >= _MOST_UNPLACED):
            return self.account(waba)
        return self.unplaced.setdefault(digits, Account())

    def place(self) -> None:
        """Move restrictions and lifts to the WABA of their number, as far as a poll has told it."""
        for display, account in list(self.unplaced.items()):
            number_id = self.number_of(display)
            waba = "" if number_id is None else self.numbers[number_id].waba
            if waba:
                self.account(waba).take(account)
                del self.unplaced[display]


encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(Quality)


def decode(document: bytes | None) -> Quality:
    """Return the state from a document of the store. An absent document gives an empty state.

    An unreadable document gives an empty state, too. The next poll brings most of it again, and messages must not wait.
    """
    if document is None:
        return Quality()
    try:
        return _decoder.decode(document)
    except msgspec.DecodeError:
        return Quality()
