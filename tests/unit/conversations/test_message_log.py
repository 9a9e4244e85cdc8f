"""The message ids that a contact remembers, against a plain dictionary."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.conversations import message_log
from chatvitals.conversations.message_log import REMEMBER_ENTRIES, REMEMBER_SECONDS, Record
from tests.helpers.examples import examples

NOW = 1_795_392_000
WEEK = REMEMBER_SECONDS
EXTREMES = [0, 1, -1, 2**63 - 1, -(2**63)]
KEYS = st.one_of(st.integers(-3, 3), st.sampled_from(EXTREMES), st.integers(-(2**63), 2**63 - 1))


@dataclass
class Model:
    """The same memory as a list of (key, second), oldest first."""

    entries: list[tuple[int, int]]

    def has(self, key: int) -> bool:
        """Return whether the key is remembered."""
        return any(known == key for known, _ in self.entries)

    def add(self, key: int, received: float) -> None:
        """Remember the key, less what is too old or too much."""
        kept = self.entries[-(REMEMBER_ENTRIES - 1) :]
        while kept and kept[0][1] < received - WEEK:
            kept.pop(0)
        self.entries = [*kept, (key, int(received))]


@examples(200)
@given(st.lists(st.tuples(KEYS, st.sampled_from([0.0, 0.5, 3600.0, WEEK - 1.0, WEEK + 1.0])), max_size=60))
def test_an_id_is_known_for_seven_days_and_no_other_id_ever_is(steps: list[tuple[int, float]]) -> None:
    """Whatever bytes keys and times consist of, only what was added is found."""
    seen, model, now = b"", Model([]), float(NOW)
    for key, passes in steps:
        now += passes
        assert message_log.has_seen(seen, key) == model.has(key)
        if not model.has(key):
            seen = message_log.add_seen(seen, key, now)
            model.add(key, now)
        assert all(message_log.has_seen(seen, known) for known, _ in model.entries)
        assert not message_log.has_seen(seen, key ^ 0x55) or model.has(key ^ 0x55)


def test_seven_days_are_kept_and_a_moment_more_is_not() -> None:
    """Meta redelivers for seven days."""
    seen = message_log.add_seen(b"", 1, NOW)
    assert message_log.has_seen(message_log.add_seen(seen, 2, NOW + WEEK), 1)
    assert not message_log.has_seen(message_log.add_seen(seen, 2, NOW + WEEK + 1), 1)


def test_the_latest_512_are_kept() -> None:
    """A contact that writes without end costs a bounded state."""
    seen = b""
    for key in range(2000):
        seen = message_log.add_seen(seen, key, NOW + key)
    assert [key for key in range(2000) if message_log.has_seen(seen, key)] == list(range(2000 - REMEMBER_ENTRIES, 2000))
    width = len(message_log.add_seen(b"", 1, NOW))
    assert len(seen) == REMEMBER_ENTRIES * width


def test_a_key_that_begins_inside_another_entry_is_not_found() -> None:
    """Bytes that happen to look like an id, across two entries, are none."""
    seen = message_log.add_seen(message_log.add_seen(b"", 0x1122334455667788, NOW), 0x0102030405060708, NOW)
    inside = struct.unpack_from("<q", seen, 4)[0]
    assert not message_log.has_seen(seen, inside)
    assert message_log.has_seen(message_log.add_seen(seen, inside, NOW), inside)


@st.composite
def records(draw: st.DrawFn, key: int | None = None) -> Record:
    """Draw a record with any contents."""
    record = Record(draw(KEYS) if key is None else key, NOW + draw(st.integers(0, 1000)))
    record.seen = draw(st.integers(0, 63))
    record.level = draw(st.integers(0, 4))
    record.kind = draw(st.integers(0, 3))
    record.category = draw(st.sampled_from([0, 1, 11, 255]))
    record.template = draw(st.integers(0, 250))
    for name in ("api", "counted", "failed", "applied", "answered"):
        setattr(record, name, draw(st.booleans()))
    return record


def contents(record: Record | None) -> dict[str, object] | None:
    if record is None:
        return None
    return {name: getattr(record, name) for name in Record.__slots__ if name != "position"}


@given(records())
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    """Everything that is known of an outbound message fits into its entry."""
    assert contents(message_log.find_record(message_log.put_record(b"", record), record.key)) == contents(record)


@given(st.lists(records(), max_size=40))
def test_records_are_found_and_replaced_by_key(drawn: list[Record]) -> None:
    """The later contents of a key replace the earlier ones in place, and touch no other."""
    kept, model = b"", dict[int, Record]()
    for record in drawn:
        known = message_log.find_record(kept, record.key)
        assert contents(known) == contents(model.get(record.key))
        if known is not None:
            record.position, record.time = known.position, known.time
        kept = message_log.put_record(kept, record)
        model[record.key] = record
        assert len(kept) == len(model) * len(record.pack())
    for key, record in model.items():
        assert contents(message_log.find_record(kept, key)) == contents(record)


def test_records_older_than_seven_days_and_beyond_512_go() -> None:
    """Campaigns to one contact cost a bounded state too."""
    kept = message_log.put_record(b"", Record(-1, NOW))
    for key in range(600):
        kept = message_log.put_record(kept, Record(key, NOW + 10))
    assert message_log.find_record(kept, -1) is None
    assert message_log.find_record(kept, 600 - REMEMBER_ENTRIES - 1) is None
    assert message_log.find_record(kept, 600 - REMEMBER_ENTRIES) is not None
    kept = message_log.put_record(kept, Record(1000, NOW + 10 + WEEK + 1))
    assert len(kept) == len(Record(0, NOW).pack())


def test_a_record_that_was_put_can_be_put_again() -> None:
    """Its place is noted, and a second evidence does not become a second record."""
    record = Record(5, NOW)
    once = message_log.put_record(message_log.put_record(b"", Record(4, NOW)), record)
    record.failed = True
    twice = message_log.put_record(once, record)
    assert len(twice) == len(once)
    found = message_log.find_record(twice, 5)
    assert found is not None
    assert found.failed


@given(st.lists(KEYS, max_size=30, unique=True), st.lists(KEYS, max_size=30, unique=True))
def test_merging_forgets_no_id_and_doubles_none(one: list[int], two: list[int]) -> None:
    """When two contacts are one person, duplicates of either are still known."""
    blobs: list[bytes] = []
    for keys in (one, two):
        seen = b""
        for index, key in enumerate(keys):
            seen = message_log.add_seen(seen, key, NOW + 2 * index + len(blobs))
        blobs.append(seen)
    merged = message_log.merge_seen(*blobs)
    assert all(message_log.has_seen(merged, key) for key in [*one, *two])
    assert len(merged) == len(set(one) | set(two)) * 12
    times = [struct.unpack_from("<I", merged, place + 8)[0] for place in range(0, len(merged), 12)]
    assert times == sorted(times)


def test_merging_keeps_the_latest_512_and_the_first_contact_s_record() -> None:
    """The bound holds, and of two records of one message that of the kept contact stays."""
    old, new = b"", b""
    for key in range(400):
        old = message_log.put_record(old, Record(key, NOW + key))
        new = message_log.put_record(new, Record(1000 + key, NOW + 500 + key))
    merged = message_log.merge_records(old, new)
    assert len(merged) == REMEMBER_ENTRIES * len(Record(0, NOW).pack())
    assert message_log.find_record(merged, 1000) is not None
    assert message_log.find_record(merged, 287) is None
    mine, theirs = Record(1, NOW), Record(1, NOW)
    mine.applied = True
    found = message_log.find_record(
        message_log.merge_records(message_log.put_record(b"", mine), message_log.put_record(b"", theirs)), 1
    )
    assert found is not None
    assert found.applied


@given(st.lists(records(), max_size=10, unique_by=lambda record: record.key), st.permutations(range(1, 251)))
def test_renumbering_changes_the_templates_only(drawn: list[Record], order: list[int]) -> None:
    """After a merge each record still names its own template."""
    kept = b""
    for record in drawn:
        kept = message_log.put_record(kept, record)
    numbers = [0, *order]
    renumbered = message_log.renumber_templates(kept, numbers)
    for record in drawn:
        record.template = numbers[record.template]
        assert contents(message_log.find_record(renumbered, record.key)) == contents(record)


def record_of(key: int, kind: int, *, api: bool = False) -> Record:
    """Return a record with one kind."""
    record = Record(key, NOW)
    record.kind, record.api = kind, api
    return record


def merged(one: Record, two: Record) -> Record:
    """Return the record that two records of one message become."""
    empty = b""
    blob = message_log.merge_records(message_log.put_record(empty, one), message_log.put_record(empty, two))
    found = message_log.find_record(blob, one.key)
    assert found is not None
    assert len(blob) == len(one.pack())
    return found


def test_a_kind_from_a_call_overrules_a_kind_from_elsewhere() -> None:
    """The call is the richest source, whichever contact knows it."""
    told, called = record_of(1, message_log.REPLY), record_of(1, message_log.OTHER, api=True)
    assert merged(told, called).kind == message_log.OTHER
    assert merged(called, told).kind == message_log.OTHER


def test_of_two_kinds_of_one_rank_the_first_contact_s_kind_stays() -> None:
    """Neither of them is richer."""
    one, two = record_of(1, message_log.REPLY), record_of(1, message_log.OTHER)
    assert merged(one, two).kind == message_log.REPLY
    assert merged(two, one).kind == message_log.OTHER


def test_a_known_kind_fills_an_unknown_kind() -> None:
    """The other way round nothing is lost."""
    one, two = record_of(1, message_log.UNKNOWN), record_of(1, message_log.REPLY)
    assert merged(one, two).kind == merged(two, one).kind == message_log.REPLY


def test_a_record_that_both_know_and_that_no_longer_fits_is_dropped() -> None:
    """Two full contacts have twice as many records as one contact keeps."""
    one, two = b"", b""
    for blob_of in range(2):
        blob = message_log.put_record(b"", Record(-1, NOW))
        for index in range(REMEMBER_ENTRIES - 1):
            blob = message_log.put_record(blob, Record(1 + index + blob_of * REMEMBER_ENTRIES, NOW + 1))
        one, two = (blob, two) if blob_of == 0 else (one, blob)
    assert message_log.find_record(one, -1) is not None
    assert message_log.find_record(two, -1) is not None
    both = message_log.merge_records(one, two)
    assert message_log.find_record(both, -1) is None
    assert len(both) == len(one)
