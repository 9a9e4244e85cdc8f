"""Contacts that are kept in decoded form between two batches, since most events soon follow another of their contact.

A kept contact counts only for exactly the bytes that the store has now. Nobody has to tell this process of a change:
after a commit of another worker, a restore or an erasure, the bytes differ or are gone, and the state is decoded anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.conversations import state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.conversations.state import ContactState

MOST_KEPT: Final = 2000
"""Contacts in each of the two generations. A contact takes some 2 KB in decoded form."""
KEPT_SECONDS: Final = 16.0
"""Seconds until a generation ends: a settling window, the rounding of due times, and a sweep."""


class Entry:
    """A contact in a batch, with its state before the batch."""

    __slots__ = ("contact", "due", "key", "known_by", "oldest_handover", "oldest_turn", "row", "touched")

    def __init__(self, key: int, contact: ContactState, row: bytes = b"") -> None:
        self.key: int = key
        self.contact: ContactState = contact
        self.row: bytes = row
        self.due: float = contact.due  # nothing is due earlier
        self.oldest_turn: dict[tuple[str, str], float] = contact.oldest_open_turns()
        self.oldest_handover: dict[tuple[str], float] = contact.oldest_open_handovers()
        self.touched: bool = False
        self.known_by: tuple[int, ...] = ()  # the keys with which it was found last: all of them are its own


class KnownContacts:
    """The contacts of the latest batches. Only one thread at a time may use it."""

    def __init__(self) -> None:
        self._recent: dict[int, Entry] = {}
        self._before: dict[int, Entry] = {}
        self._since = 0.0

    def take(self, key: int, row: bytes) -> Entry:
        """Return the contact of `key`, whose row in the store is `row`. It belongs to the caller from now on.

        Raises:
            msgspec.MsgspecError: this version cannot read the row.

        """
        entry = self._recent.pop(key, None) or self._before.pop(key, None)
        if entry is not None and entry.row == row:
            return entry
        return Entry(key, state.decode(row), row)

    def keep(self, entries: Sequence[Entry], now: float) -> None:
        """Take over contacts after a commit that brought their `row` to the store.

        Args:
            entries: the contacts. The caller changes them no more.
            now: Unix seconds.

        """
        if len(self._recent) >= MOST_KEPT or not 0.0 <= now - self._since < KEPT_SECONDS:
            self._before, self._recent, self._since = self._recent, {}, now
        for entry in entries[-MOST_KEPT:]:
            self._recent[entry.key] = entry
