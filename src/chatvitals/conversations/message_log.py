"""Memory of message ids in a contact's state, for 7 days and bounded (conversations/README.md 5).

Both memories are plain bytes of fixed-width entries, oldest first. Statuses outnumber messages three to one, so a
status must cost a substring search and a splice, not the decoding of all that the contact ever received.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Sequence

REMEMBER_SECONDS: Final = 7 * 86_400
REMEMBER_ENTRIES: Final = 512

_SEEN = struct.Struct("<qI")
_RECORD = struct.Struct("<qIHBBB")
_KEY = struct.Struct("<q")
_U32 = struct.Struct("<I")

UNKNOWN: Final = 0
REPLY: Final = 1
CAMPAIGN: Final = 2
OTHER: Final = 3

_TEMPLATE_CATEGORIES: Final = frozenset(
    1 + enums.CATEGORIES.index(name)
    for name in enums.CATEGORIES
    if name.removeprefix("group_").partition("_")[0] in {"authentication", "marketing", "utility"}
)
_API, _COUNTED, _FAILED, _APPLIED, _ANSWERED = 1, 2, 4, 8, 16  # above them two bits of kind and three of level


class Record:
    """The known facts about one outbound message. The first evidence creates it, and later evidence fills blanks."""

    __slots__ = ("answered", "api", "applied", "category", "counted", "failed", "key", "kind", "level", "position",
                 "seen", "template", "time")  # fmt: skip

    def __init__(self, key: int, time: int, bits: int = 0, seen: int = 0, category: int = 0, template: int = 0) -> None:
        self.key: int = key
        self.time: int = time  # time of arrival in whole seconds
        self.position: int = -1
        self.seen: int = seen  # bit i: status i of enums.STATUSES was received
        self.level: int = bits >> 7 & 7  # number of counted statuses among sent, delivered, read, played
        self.kind: int = bits >> 5 & 3  # UNKNOWN, REPLY, CAMPAIGN or OTHER
        self.category: int = category  # 0 is unknown, otherwise 1 + index into the categories
        self.template: int = template  # 0 is none, otherwise 1 + index into the contact's templates
        self.api: bool = bits & _API > 0  # a watched client sent it
        self.counted: bool = bits & _COUNTED > 0  # a status has been counted after its window, so the labels are final
        self.failed: bool = bits & _FAILED > 0
        self.applied: bool = bits & _APPLIED > 0  # applied as a reply or a failed reply; later evidence changes no turn
        self.answered: bool = bits & _ANSWERED > 0  # the reply ended a turn

    @property
    def is_reply(self) -> bool:
        """Whether it is a reply. Where only statuses are known, the price category separates replies from campaigns."""
        return self.kind == REPLY or (self.kind == UNKNOWN and self.category not in _TEMPLATE_CATEGORIES)

    def fill(self, other: Record) -> None:
        """Fill blanks from another record of the same message."""
        if self.kind == UNKNOWN or (other.api and not self.api):
            self.kind = other.kind or self.kind
        for name in ("api", "counted", "failed", "applied", "answered"):
            setattr(self, name, getattr(self, name) or getattr(other, name))
        self.seen |= other.seen
        self.level = max(self.level, other.level)
        self.category = self.category or other.category
        self.template = self.template or other.template

    def pack(self) -> bytes:
        """Return the entry as bytes."""
        bits = self.api * _API | self.counted * _COUNTED | self.failed * _FAILED
        bits |= self.applied * _APPLIED | self.answered * _ANSWERED | self.kind << 5 | self.level << 7
        return _RECORD.pack(self.key, self.time, bits, self.seen, self.category, self.template)


def _position(entries: bytes, key: int, width: int) -> int:
    """Return the offset of the entry of `key`, or -1."""
    wanted = _KEY.pack(key)
    position = entries.find(wanted)
    while position >= 0 and position % width:
        position = entries.find(wanted, position + 1)
    return position


def has_seen(seen: bytes, key: int) -> bool:
    """Return whether the id `key` is remembered."""
    return _position(seen, key, _SEEN.size) >= 0


def add_seen(seen: bytes, key: int, received: float, most: int = REMEMBER_ENTRIES) -> bytes:
    """Return `seen` with `key`, without entries that are too old or exceed `most`."""
    return _pruned(seen, _SEEN.size, received, most) + _SEEN.pack(key, int(received))


def find_record(records: bytes, key: int) -> Record | None:
    """Return the record of the outbound message `key`, or None."""
    position = _position(records, key, _RECORD.size)
    if position < 0:
        return None
    record = Record(*_RECORD.unpack_from(records, position))
    record.position = position
    return record


def put_record(records: bytes, record: Record) -> bytes:
    """Return `records` with `record` at its offset, or at the end where it is new."""
    if record.position < 0:
        records = _pruned(records, _RECORD.size, record.time)
        record.position = len(records)
        return records + record.pack()
    return records[: record.position] + record.pack() + records[record.position + _RECORD.size :]


def latest_template(records: bytes, at: float, not_before: float) -> int:
    """Return the template number of the latest template message in a span of time, or 0."""
    found, found_at = 0, -1
    for _, time, _, _, _, template in _RECORD.iter_unpack(records):
        if template and not_before <= time <= at and time >= found_at:
            found, found_at = template, time
    return found


def merge_seen(one: bytes, two: bytes) -> bytes:
    """Return the ids of both, oldest first."""
    return _merged(one, two, _SEEN.size)


def merge_records(one: bytes, two: bytes) -> bytes:
    """Return the records of both, oldest first. Two records of one message become one record."""
    merged = _merged(one, two, _RECORD.size)
    for entry in _RECORD.iter_unpack(two):
        known = find_record(one, entry[0])
        if known is not None:
            record = find_record(merged, entry[0])
            if record is not None:
                record.fill(Record(*entry))
                merged = put_record(merged, record)
    return merged


def renumber_templates(records: bytes, numbers: Sequence[int]) -> bytes:
    """Return `records` with each template number replaced by `numbers[number]`."""
    renumbered = bytearray(records)
    for last in range(_RECORD.size - 1, len(records), _RECORD.size):
        renumbered[last] = numbers[renumbered[last]]
    return bytes(renumbered)


def _merged(one: bytes, two: bytes, width: int) -> bytes:
    entries: dict[bytes, bytes] = {}
    for blob in (two, one):  # where both know an id, the entry of `one` stays
        for position in range(0, len(blob), width):
            entries[blob[position : position + 8]] = blob[position : position + width]
    ordered = sorted(entries.values(), key=lambda entry: _U32.unpack_from(entry, 8))
    return b"".join(ordered[-REMEMBER_ENTRIES:])


def _pruned(entries: bytes, width: int, now: float, most: int = REMEMBER_ENTRIES) -> bytes:
    start = max(0, len(entries) - (most - 1) * width)
    oldest = now - REMEMBER_SECONDS
    while start < len(entries) and _U32.unpack_from(entries, start + 8)[0] < oldest:
        start += width
    return entries[start:] if start else entries
