"""Promises of every store about reading rows, cells, marks and documents."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from chatvitals.stores.base import Changes, StoreMistakeError, StoreUnavailableError
from tests.helpers.store_changes import CELL, LAST, NOW, commit, on_threads

if TYPE_CHECKING:
    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Row, Store


def test_only_rows_that_exist_are_loaded(store: Store) -> None:
    """A state is bytes, and a link the key of another contact."""
    commit(store, Changes(states={1: (b"state", 5.0)}, links={2: 1}))
    with store.transaction() as transaction:
        assert transaction.load([1, 2, 3]) == {1: b"state", 2: 1}
        assert transaction.load([]) == {}


def test_rows_outside_a_transaction_are_the_same(store: Store) -> None:
    """The bot asks for a person's variant without a transaction."""
    commit(store, Changes(states={1: (b"state", 5.0), -9: (b"", 5.0)}, links={2: 1}))
    assert store.rows([1, 2, 3, -9]) == {1: b"state", 2: 1, -9: b""}
    assert store.rows([]) == {}


def test_rows_do_not_wait_for_a_writer(store: Store, other: Store) -> None:
    """A transaction of the pipeline may take long, and the bot is not to notice."""
    commit(store, Changes(states={1: (b"state", 5.0)}))

    def read() -> dict[int, Row]:
        found = other.rows([1])
        other.close()
        return found

    with store.transaction() as transaction:
        transaction.load([1])
        assert on_threads(read) == [{1: b"state"}]


def test_a_thousand_keys_are_loaded_at_once(store: Store) -> None:
    """A batch may be larger than what one statement takes."""
    commit(store, Changes(states=dict.fromkeys(range(1200), (b"s", 1.0))))
    with store.transaction() as transaction:
        assert len(transaction.load(range(1300))) == 1200
    assert len(store.rows(range(1300))) == 1200


def test_only_what_is_due_is_found_the_earliest_first(store: Store) -> None:
    """The sweeper sees each contact once its time has come, and sees it again while it stays due."""
    commit(store, Changes(states={1: (b"late", 30.0), 2: (b"soon", 10.0), 3: (b"now", 5.0)}, links={4: 1}))
    with store.transaction() as transaction:
        assert list(transaction.due(10.0, 10).items()) == [(3, b"now"), (2, b"soon")]
        assert list(transaction.due(10.0, 1)) == [3]
        assert list(transaction.due(10.0, 10)) == [3, 2]


def test_a_due_time_can_move_and_go_with_its_contact(store: Store) -> None:
    """A moved contact is due at its new time only, a removed or merged one never."""
    commit(store, Changes(states={1: (b"a", 5.0), 2: (b"b", 5.0), 3: (b"c", 5.0)}))
    commit(store, Changes(states={1: (b"a2", 50.0)}, removed={2}, links={3: 1}))
    with store.transaction() as transaction:
        assert transaction.due(10.0, 10) == {}
        assert transaction.due(50.0, 10) == {1: b"a2"}
        assert transaction.load([1, 2, 3]) == {1: b"a2", 3: 1}


def test_a_silent_state_is_due_within_a_day(store: Store) -> None:
    """Its deletion has no hurry, but never comes early."""
    keys = [-(2**63), -5, 7, 2**62, 2**63 - 1]
    commit(store, Changes(states=dict.fromkeys(keys, (b"silent", NOW)), silent=set(keys)))
    found: dict[int, bytes] = {}
    for minute in range(-5, 24 * 60 + 1):
        with store.transaction() as transaction:
            due = transaction.due(NOW + 60 * minute, 10)
        assert not due or minute >= 0
        found |= due
    assert found == dict.fromkeys(keys, b"silent")


def test_a_state_may_turn_silent_and_back(store: Store) -> None:
    """Only the latest state counts, and it is due at its own time."""
    commit(store, Changes(states={1: (b"open", 5.0)}))
    commit(store, Changes(states={1: (b"silent", NOW)}, silent={1}))
    assert store.rows([1]) == {1: b"silent"}
    with store.transaction() as transaction:
        assert transaction.due(10.0, 5) == {}
    commit(store, Changes(states={1: (b"again", 20.0)}))
    assert store.rows([1]) == {1: b"again"}
    assert [piece.states for piece in store.dump() if piece.states] == [{1: (b"again", 20.0)}]
    with store.transaction() as transaction:
        assert transaction.due(NOW + 9e5, 5) == {1: b"again"}
    commit(store, Changes(removed={1}))
    assert store.rows([1]) == {}


def test_all_cells_are_read_as_of_one_time(store: Store, other: Store) -> None:
    """Cells that always change together are never seen apart."""
    cells = [("chatvitals_turns_open", (str(index),), 0) for index in range(60)]
    commit(store, Changes(increments=dict.fromkeys(cells, 1.0)))

    def write() -> list[int]:
        for _ in range(40):
            commit(other, Changes(increments=dict.fromkeys(cells, 1.0)))
        other.close()
        return []

    def read() -> list[int]:
        return [len(set(store.cells().values())) for _ in range(40)]

    assert sorted(on_threads(write, read)) == [[], [1] * 40]
    assert store.cells() == dict.fromkeys(cells, 41.0)


def test_a_store_of_many_numbers_shows_all_cells(store: Store) -> None:
    """They are read in pieces of some thousand, and each reader has its own."""
    cells: dict[Cell, float] = {
        ("chatvitals_turns_open", (str(index), "first", ""), 0): float(index) for index in range(4001)
    }
    commit(store, Changes(increments=dict(cells)))
    store.cells().clear()
    assert store.cells() == cells
    assert store.unreadable == 0


def test_nothing_is_unreadable_in_a_store_of_this_version(store: Store) -> None:
    """Amounts of any size are read as they were written."""
    commit(store, Changes(increments={CELL: 0.1, ("chatvitals_turns_open", ("ü",), 0): 1e300}))
    assert len(store.cells()) == 2
    assert store.unreadable == 0


def test_a_label_that_would_break_the_page_is_left_out_and_counted(store: Store) -> None:
    """A memory store holds what this process wrote, and so has nothing of another version."""
    commit(store, Changes(increments={CELL: 1.0}))
    if store.about().kind != "memory":
        commit(store, Changes(increments={("chatvitals_turns_open", ("a\nb",), 0): 1.0}))
    cells = store.cells()
    assert (cells, store.unreadable) == ({CELL: 1.0}, int(store.about().kind != "memory"))


def test_the_earliest_mark_of_each_number_is_shown_until_it_is_removed(store: Store) -> None:
    """Marks are per kind, number and contact."""
    commit(store, Changes(open_since={("k", "n", 1): 7.0, ("k", "n", 2): 6.0, ("k", "m", 3): 1.0, ("j", "n", 4): 3.0}))
    assert store.oldest_open() == {("k", "n"): 6.0, ("k", "m"): 1.0, ("j", "n"): 3.0}
    commit(store, Changes(open_since={("k", "n", 2): None, ("k", "m", 3): 2.0, ("j", "n", 4): None}))
    assert store.oldest_open() == {("k", "n"): 7.0, ("k", "m"): 2.0}


def test_a_document_is_replaced_with_a_commit(store: Store) -> None:
    """What is known of the business moves with the cells that count its changes."""
    assert store.document("quality") is None
    commit(store, Changes(documents={"quality": b"one"}))
    commit(store, Changes(documents={"quality": b"two"}))
    assert store.document("quality") == b"two"
    with store.transaction() as transaction:
        assert transaction.document("quality") == b"two"
        assert transaction.document("other") is None


def test_an_empty_document_exists(store: Store) -> None:
    """None means that there is none."""
    commit(store, Changes(documents={"quality": b""}))
    assert store.document("quality") == b""
    assert store.set_if_absent("quality", b"one") == b""


def test_the_first_value_is_kept(store: Store, other: Store) -> None:
    """All workers end up with the identity key that the first one brought."""
    assert store.set_if_absent("key", b"one") == b"one"
    assert other.set_if_absent("key", b"two") == b"one"
    assert store.document("key") == b"one"


def test_workers_that_start_at_once_agree_on_one_value(store: Store) -> None:
    """Else two workers would know one person by two hashes."""

    def start(value: bytes) -> bytes:
        for _ in range(1000):
            try:
                return store.set_if_absent("key", value)
            except StoreMistakeError:
                raise
            except StoreUnavailableError:  # another one is just creating the file
                continue
        raise AssertionError

    kept = on_threads(*(partial(start, value) for value in (b"1", b"2", b"3", b"4")))
    assert len(kept) == 4
    assert set(kept) == {store.document("key")}


def test_a_transaction_is_as_remote_as_its_store(store: Store, store_url: str) -> None:
    """The pipeline reads in fewer and larger calls where each is a round trip."""
    with store.transaction() as transaction:
        assert transaction.remote is store.remote is store_url.startswith("redis")


def test_a_store_of_nothing_is_empty(store: Store) -> None:
    """The first scrape comes before the first event."""
    assert (store.cells(), store.oldest_open(), store.rows([1])) == ({}, {}, {})
    with store.transaction() as transaction:
        assert (transaction.load([1]), transaction.due(NOW, 5)) == ({}, {})
    assert LAST not in store.cells()
