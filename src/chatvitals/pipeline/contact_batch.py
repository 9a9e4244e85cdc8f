"""A batch of events in one transaction: load states, resolve contacts, reduce, collect the changes."""

from __future__ import annotations

from math import inf
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from chatvitals.conversations import clock_corrections, handovers, identity, settling, state
from chatvitals.conversations.intake import apply_event
from chatvitals.conversations.state import ContactState, Rules
from chatvitals.events import IdentityChange, Send
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements
from chatvitals.pipeline.known_contacts import Entry, KnownContacts
from chatvitals.runtime import pacing
from chatvitals.stores.base import Changes, mark_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from chatvitals.conversations.identity import Hasher
    from chatvitals.events import PersonEvent
    from chatvitals.metrics.cardinality import CardinalityLimiter
    from chatvitals.stores.base import Row, Transaction

_EXPIRY_GRAIN = 3600.0  # an hour does not matter for deletion, but finer times would cost a write each time
_POSTPONED = 3600.0  # seconds until a contact is tried again whose timers raise an error
_KEEP_OPEN = 90 * state.DAY
_ENDS_EVERYTHING = 400 * state.DAY  # longer than any state stays open or is remembered
DUE_GRAIN = 4.0
"""Due times are rounded up to this many seconds, so that work that is due close together needs one visit.

`advance` replays everything in order whenever it runs, so this delays numbers but does not change them. A scrape, which
needs exact numbers, looks this far ahead.
"""
_LOOKS_AT_ONCE = 16  # contacts to look up between two looks at the clock; each takes a microsecond
_received = attrgetter("received")
_OLDEST_TURN = catalogue.OLDEST_OPEN_TURN.name
_OLDEST_HANDOVER = catalogue.OLDEST_OPEN_HANDOVER.name


class ContactBatch:
    """A reduction of events in memory. `changes` then returns everything that must be committed together."""

    def __init__(
        self,
        transaction: Transaction,
        rules: Rules,
        hasher: Hasher,
        labels: CardinalityLimiter,
        measures: Measurements,
        known: KnownContacts | None = None,
    ) -> None:
        self._transaction = transaction
        self._known = KnownContacts() if known is None else known
        self._rules = rules
        self._hasher = hasher
        self._labels = labels
        self._measures = measures
        self.on_error: Callable[[Exception], None] | None = None
        """With it, each contact that is due is advanced by itself, and this takes the errors."""
        self.now = inf
        """Unix seconds. Contacts whose times lie far ahead of it are of a wrong clock, see `clock_corrections`."""
        self._entries: dict[int, Entry] = {}
        self._links: dict[int, int] = {}
        self._absent: set[int] = set()
        self._current: list[Entry] = []  # the commit brings their rows to the store
        self._changes = Changes(increments=measures.increments, maxima=measures.maxima)

    def apply(self, events: Sequence[PersonEvent]) -> None:
        """Apply events in the order in which they were received."""
        keys_of = self._hasher.keys
        in_order = sorted(events, key=_received)
        keyed = [(event, keys_of(event)) for event in pacing.steps(in_order, _LOOKS_AT_ONCE)]
        self._load_people(keyed)
        numbers = set()
        for event, keys in pacing.steps(keyed):
            if type(event) is IdentityChange:
                keys = (*keys, *self._new_keys(event))  # noqa: PLW2901 - it is known by these from here on
            entry = self._entries.get(keys[0])
            if entry is None or entry.known_by is not keys:
                entry = self._resolve(event.phone_number_id, keys, event.received)
            numbers.add(entry.contact.phone_number_id)
            if entry.due <= event.received:
                self._advance(entry, event.received)
            if type(event) is Send and event.handled:
                event = self._judged(event, entry)  # noqa: PLW2901 - the store knows more than the hook
            apply_event(entry.contact, event, self._hasher, self._measures)
            entry.touched = True
            settled = event.received + self._rules.settle_after
            if settled < entry.due:  # noqa: PLR1730 - `min` is a call, and this is hot
                entry.due = settled
        for number in numbers:
            self._labels.use(number)

    def _load_people(self, keyed: Sequence[tuple[PersonEvent, tuple[int, ...]]]) -> None:
        first = {keys[0] for _, keys in keyed}
        for event, keys in pacing.steps(keyed, _LOOKS_AT_ONCE):
            if type(event) is Send and event.handled:
                first.update(self._handled_keys(event))
            if self._transaction.remote:  # unneeded rows are cheaper than another round trip
                first.update(keys, self._new_keys(event) if type(event) is IdentityChange else ())
        self._load(first)
        second: set[int] = set()
        for event, keys in pacing.steps(keyed, _LOOKS_AT_ONCE):
            entry = self._entries.get(keys[0])
            if (entry is None or entry.known_by is not keys) and len(keys) > 1:
                second.update(self._unknown_aliases(keys[0], keys[1:]))
            if type(event) is IdentityChange:
                second.update(self._new_keys(event))
        self._load(second)

    def settle(self, now: float, limit: int) -> int:
        """Advance contacts that are due by `now`, at most `limit`. Return their number."""
        rows = self._transaction.due(now, limit)
        for key, row in pacing.steps(rows.items()):
            if key not in self._entries and not self._keep(key, row):
                self._changes.removed.add(key)  # otherwise it would be due for ever
            else:
                self._entries[key].touched = True
        return len(rows)

    def erase(self, keys: Iterable[int], now: float) -> int:
        """Delete the contacts of these keys with all their other keys. Return their number.

        Open turns and runs end first and are counted, so that the numbers still add up.
        """
        wanted = list(keys)
        self._load(wanted)
        found = {entry.key: entry for entry in map(self._find, wanted) if entry is not None}
        for entry in found.values():
            aliases = tuple(entry.contact.aliases)
            self._advance(entry, now + _ENDS_EVERYTHING)
            self._changes.removed.update((entry.key, *aliases))
            self._mark(entry)
            entry.touched = False
        return len(found)

    def changes(self, now: float) -> Changes:
        """Advance all touched contacts to `now`. Return everything that must be committed."""
        changes = self._changes
        for entry in pacing.steps(self._entries.values()):
            if not entry.touched:
                continue
            alive = entry.due > now or self._advance_apart(entry, now)
            if alive is None:
                changes.states[entry.key] = (entry.row, now + _POSTPONED)
            elif not alive:
                changes.removed.update((entry.key, *entry.contact.aliases))
            else:
                entry.contact.due = due = settling.next_due(entry.contact, self._rules)
                row = state.encode(entry.contact)
                if row != entry.row:
                    entry.row = row
                    stored = self._stored_due(entry.contact, due)
                    changes.states[entry.key] = (row, stored)
                    if settling.is_silent(entry.contact):
                        changes.silent.add(entry.key)
                    if self._transaction.remote:
                        changes.ttls[entry.key] = (_keep_seconds(entry.contact, stored, now), entry.contact.aliases)
                entry.due, entry.touched = due, False
                if entry.contact.pending:  # otherwise nothing is due soon, and a short state is decoded quickly
                    self._current.append(entry)
            self._mark(entry)
        return changes

    def committed(self, now: float) -> None:
        """Keep the contacts for the next batch, because the store has accepted the changes."""
        self._known.keep(self._current, now)

    def _advance_apart(self, entry: Entry, now: float) -> bool | None:
        """Do the same as `_advance`. With `on_error`, an error is reported and costs this contact alone: None."""
        if self.on_error is None:
            return self._advance(entry, now)
        measures, self._measures = self._measures, Measurements()
        try:
            alive = self._advance(entry, now)
        except Exception as error:  # noqa: BLE001 - other contacts are due as well
            self.on_error(error)
            return None
        else:
            measures.merge(self._measures.increments)
            measures.exemplars |= self._measures.exemplars
            measures.turns += self._measures.turns
            return alive
        finally:
            self._measures = measures

    def _advance(self, entry: Entry, now: float) -> bool:
        """Apply due work. Return False where the contact is to be deleted. Its state then starts anew."""
        contact = entry.contact
        entry.due = settling.advance(contact, now, self._rules, self._measures)
        if not settling.is_forgotten(contact, now):
            return True
        handovers.drop(contact, self._measures)
        entry.contact = ContactState(phone_number_id=contact.phone_number_id, aliases=contact.aliases)
        entry.due = settling.next_due(entry.contact, self._rules)
        return False

    @staticmethod
    def _stored_due(contact: ContactState, due: float) -> float:
        expires = not contact.pending and due >= settling.forgotten_at(contact)  # what waits is due long before
        grain = _EXPIRY_GRAIN if expires else DUE_GRAIN
        return -(-due // grain) * grain

    def _load(self, keys: Iterable[int]) -> None:
        wanted = self._unknown(keys)
        while wanted:
            rows = self._transaction.load(wanted)
            self._absent.update(wanted.difference(rows))
            for key, row in pacing.steps(rows.items()):
                if not self._keep(key, row):
                    self._absent.add(key)  # it starts anew in place of the unreadable state
            wanted = self._unknown(row for row in rows.values() if isinstance(row, int))

    def _unknown(self, keys: Iterable[int]) -> set[int]:
        return set(keys).difference(self._entries, self._links, self._absent)

    def _keep(self, key: int, row: Row) -> bool:
        """Store a loaded row. Return False and count an error if this version cannot read it."""
        if isinstance(row, int):
            self._links[key] = row
            return True
        try:
            entry = self._entries[key] = self._known.take(key, row)
        except msgspec.MsgspecError:
            self._measures.count(catalogue.INTERNAL_ERRORS, ("state",))
            return False
        if entry.contact.last_received_at > self.now + clock_corrections.SET_BACK:
            self._measures.count(catalogue.CLOCK_SKEWS)
            clock_corrections.pull_back(entry.contact, self.now)
            entry.due, entry.touched = 0.0, True
        return True

    def _find(self, key: int) -> Entry | None:
        while key in self._links:
            key = self._links[key]
        return self._entries.get(key)

    def _unknown_aliases(self, first: int, others: tuple[int, ...]) -> list[int]:
        """Return the keys that must be looked up because the first key's contact does not have them."""
        if not others:
            return []
        entry = self._find(first)
        return [key for key in others if entry is None or (key != entry.key and key not in entry.contact.aliases)]

    def _handled_keys(self, send: Send) -> set[int]:
        """Return the keys of the contacts whose messages were being handled, on the business number of the send."""
        return {
            key
            for number, *ids in send.handled
            for person_id in ids
            if person_id and number == send.phone_number_id
            for key in self._hasher.people(number, person_id)
        }

    def _judged(self, send: Send, entry: Entry) -> Send:
        """Return the send as a reply where its recipient's own message was being handled, under another id."""
        own = any(self._find(key) is entry for key in self._handled_keys(send))
        return msgspec.structs.replace(send, kind="reply") if own else send

    def _new_keys(self, event: IdentityChange) -> tuple[int, ...]:
        new = (event.new_user_id, event.new_wa_id)
        return tuple(
            key for person_id in new if person_id for key in self._hasher.people(event.phone_number_id, person_id)
        )

    def _resolve(self, number: str, keys: tuple[int, ...], now: float) -> Entry:
        """Return the single contact of all these keys. Several contacts are merged."""
        entry = self._find(keys[0])
        for key in keys[1:]:
            if entry is not None and (key == entry.key or key in entry.contact.aliases):
                continue
            other = self._find(key)
            if entry is None:
                entry = other
            elif other is not None and other is not entry:
                self._merge(entry, other, now)
        if entry is None:
            entry = Entry(keys[0], ContactState(phone_number_id=self._labels.limit(catalogue.NUMBER, number)))
            self._entries[keys[0]] = entry
            self._absent.discard(keys[0])
        for key in keys[1:] if entry.key == keys[0] else keys:
            if key != entry.key and key not in entry.contact.aliases:
                self._link(key, entry)
        entry.known_by = keys
        return entry

    def _merge(self, kept: Entry, other: Entry, now: float) -> None:
        for entry in (kept, other):  # due work belongs to each contact alone, whenever the last sweep was
            if entry.due <= now:
                self._advance(entry, now)
        identity.merge(kept.contact, other.contact, self._measures)
        for key in (other.key, *other.contact.aliases):
            self._link(key, kept)
        del self._entries[other.key]
        kept.due = 0.0
        kept.touched = True
        other.contact = ContactState(phone_number_id=other.contact.phone_number_id)
        self._mark(other)

    def _link(self, key: int, entry: Entry) -> None:
        self._links[key] = entry.key
        self._absent.discard(key)
        self._changes.links[key] = entry.key
        if key not in entry.contact.aliases:
            entry.contact.aliases.append(key)

    def _mark(self, entry: Entry) -> None:
        turns, since = entry.contact.oldest_open_turns(), entry.contact.oldest_open_handovers()
        if turns != entry.oldest_turn:
            self._mark_family(_OLDEST_TURN, entry, entry.oldest_turn, turns)
            entry.oldest_turn = turns
        if since != entry.oldest_handover:
            self._mark_family(_OLDEST_HANDOVER, entry, entry.oldest_handover, since)
            entry.oldest_handover = since

    def _mark_family(self, family: str, entry: Entry, before: Mapping[Any, float], after: Mapping[Any, float]) -> None:
        for labels in before.keys() | after.keys():
            kind = mark_kind(family, labels)
            self._changes.open_since[kind, entry.contact.phone_number_id, entry.key] = after.get(labels)


def _keep_seconds(contact: ContactState, due: float, now: float) -> float:
    """Return how long a store with expiry must keep a contact, which is until after the sweep that deletes it.

    Open turns and runs must end and be counted, even when no process has run for weeks. No contact is kept for ever.
    """
    open_still = due < settling.forgotten_at(contact)
    return max(due - now, 0.0) + (_KEEP_OPEN if open_still else state.DAY)
