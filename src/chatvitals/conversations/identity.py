"""Keyed hashes in place of ids, and the merge of contacts that are one person (conversations/README.md 1)."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from chatvitals.conversations import journeys, message_log
from chatvitals.conversations.state import OPEN, ContactState, Item, Kind
from chatvitals.whatsapp.phone_numbers import canonical

if TYPE_CHECKING:
    from chatvitals.events import PersonEvent
    from chatvitals.metrics.measurements import Measurements

_ONCE_A_MESSAGE = frozenset({Kind.MESSAGE, Kind.REPLY})
_KEYS_KEPT = 10_000  # for people, and as many for messages: a hash costs as much as all other work on a status


class Hasher:
    """Converter of ids to 64-bit keys with BLAKE2b. Without `secret` the keys cannot be traced back to people.

    Args:
        secret: the identity key.
        previous: the identity key that `secret` replaces, or empty. A person then has the keys of both, so that a
            contact of the store is found and gets its new keys.

    """

    __slots__ = ("_keys", "_message", "_messages", "_person", "previous", "sealing_key")

    def __init__(self, secret: bytes, previous: bytes = b"") -> None:
        self.previous: Hasher | None = Hasher(previous) if previous and previous != secret else None
        """The hasher of the key before, while contacts move to the new one."""
        self._keys: dict[tuple[str, str, str], tuple[int, ...]] = {}
        self._messages: dict[str, int] = {}
        self._person = blake2b(digest_size=8, key=secret, person=b"person")
        self._message = blake2b(digest_size=8, key=secret, person=b"message")
        self.sealing_key: bytes = blake2b(digest_size=32, key=secret, person=b"sealing").digest()

    def person(self, number: str, person_id: str) -> int:
        """Return the key of a person id on a business number. All spellings of a phone number have one key."""
        digest = self._person.copy()
        digest.update(f"{number}\0{canonical(person_id)}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "little", signed=True)

    def message(self, message_id: str) -> int:
        """Return the key of a message id, which is personal because it holds the phone number in base64."""
        key = self._messages.get(message_id)  # all statuses of a message come within seconds
        if key is None:
            digest = self._message.copy()
            digest.update(message_id.encode("utf-8", "surrogatepass"))
            key = int.from_bytes(digest.digest(), "little", signed=True)
            if len(self._messages) >= _KEYS_KEPT:
                self._messages.clear()
            self._messages[message_id] = key
        return key

    def keys(self, event: PersonEvent) -> tuple[int, ...]:
        """Return the keys of the person that an event is about, the business-scoped id first.

        A status without a person id gets a key from its message id, so that it belongs to the message's other statuses.
        """
        ids = (event.phone_number_id, event.user_id, event.wa_id)
        keys = self._keys.get(ids)  # one message brings several events about the same person
        if keys is None:
            keys = self._compute(event)
            if self.previous is not None:
                keys += self.previous.keys(event)
            if event.user_id or event.wa_id:
                if len(self._keys) >= _KEYS_KEPT:
                    self._keys.clear()
                self._keys[ids] = keys
        return keys

    def message_in(self, contact: ContactState, message_id: str) -> int:
        """Return the key under which a contact knows a message: after a change of the key, the earlier one."""
        key = self.message(message_id)
        if self.previous is None:
            return key
        old = self.previous.message(message_id)
        known = message_log.has_seen(contact.seen, old) or message_log.find_record(contact.records, old) is not None
        return old if known or any(item.key == old for item in contact.pending) else key

    def people(self, number: str, person_id: str) -> tuple[int, ...]:
        """Return the keys of a person id on a business number, under this key and the previous key."""
        key = self.person(number, person_id)
        return (key,) if self.previous is None else (key, self.previous.person(number, person_id))

    def _compute(self, event: PersonEvent) -> tuple[int, ...]:
        phone = event.wa_id
        if event.user_id:
            user = self.person(event.phone_number_id, event.user_id)
            return (user, self.person(event.phone_number_id, phone)) if phone else (user,)
        if phone:
            return (self.person(event.phone_number_id, phone),)
        return (self.person(event.phone_number_id, f"message\0{getattr(event, 'id', '')}"),)


def merge(kept: ContactState, other: ContactState, measures: Measurements) -> None:
    """Merge `other` into `kept`. Open turns stay open, and counts stay counted (conversations/README.md 5)."""
    latest = max((kept, other), key=lambda contact: contact.last_message_at)
    turns = sorted([*kept.turns, *other.turns], key=lambda turn: turn.start)
    kept.turns = [turn for turn in turns[:-1] if turn.outcome == OPEN] + turns[-1:]
    kept.resolved = latest.resolved
    kept.resolved_at = max(kept.resolved_at, other.resolved_at)
    kept.last_received_at = max(kept.last_received_at, other.last_received_at)
    kept.last_message_at = latest.last_message_at
    kept.last_reply_at = max(kept.last_reply_at, other.last_reply_at)
    kept.set_handovers(sorted([*kept.open_handovers(), *other.open_handovers()]))
    kept.pending = _without_copies([*kept.pending, *other.pending])
    kept.runs = tuple(sorted([*kept.runs, *other.runs], key=lambda run: run.started))
    for category, second in other.preferences.items():
        kept.preferences[category] = max(second, kept.preferences.get(category, second))
    known = {exposure.experiment: exposure for exposure in kept.exposures}
    for exposure in other.exposures:
        same = known.get(exposure.experiment)
        if same is None:
            kept.exposures += (exposure,)
        else:  # each outcome counts once per contact, and this is one contact now
            same.outcomes += tuple(outcome for outcome in exposure.outcomes if outcome not in same.outcomes)
    kept.traces = {**other.traces, **kept.traces}
    kept.seen = message_log.merge_seen(kept.seen, other.seen)
    numbers = [0, *(kept.template_index(template) for template in other.templates)]
    kept.records = message_log.merge_records(kept.records, message_log.renumber_templates(other.records, numbers))
    journeys.end_second_runs(kept, measures)


def _without_copies(pending: list[Item]) -> list[Item]:
    """Return the items without second copies of a message. The richest evidence stays, then the first copy."""
    best: dict[tuple[int, int], Item] = {}
    for item in pending:
        if item.kind in _ONCE_A_MESSAGE:
            known = best.setdefault((item.kind, item.key), item)
            if (item.evidence, -item.received) > (known.evidence, -known.received):
                best[item.kind, item.key] = item
    return [item for item in pending if item.kind not in _ONCE_A_MESSAGE or best[item.kind, item.key] is item]
