"""The claim to tell differences, on every store: one process at a time, and nothing told is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.exporters.delta_claim import DeltaClaim, Pushed
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

FIRST = Pushed(1.0, {"chatvitals_turns_total": [(("11", "first", "answered", ""), {0: 1.0})]}, "store")


def test_what_was_told_is_what_the_next_one_starts_from(store: Store) -> None:
    """Whichever process it is."""
    one, two = DeltaClaim(store, "one"), DeltaClaim(store, "two")
    assert one.take() == Pushed(0.0, {})
    one.end(FIRST)
    assert two.take() == FIRST
    two.end(None)
    assert one.take() == FIRST


def test_nobody_tells_while_another_one_does(store: Store) -> None:
    """A process that is alive changes its claim with every push, so it is never taken for dead."""
    one, two = DeltaClaim(store, "one"), DeltaClaim(store, "two")
    assert one.take() is not None
    assert two.take() is None
    one.end(FIRST)
    assert one.take() == FIRST
    assert two.take() is None


def test_the_claim_of_a_dead_process_is_taken_at_the_second_look(store: Store) -> None:
    """No clock decides it. The dead one's word counts no more, should it live after all."""
    dead, heir = DeltaClaim(store, "dead"), DeltaClaim(store, "heir")
    assert dead.take() is not None
    assert heir.take() is None
    assert heir.take() == Pushed(0.0, {})
    dead.end(FIRST)
    heir.end(None)
    assert heir.take() == Pushed(0.0, {})


def test_what_was_told_while_the_store_was_away_is_not_told_again() -> None:
    """The endpoint took it, and the store could not keep it: the process remembers."""
    store = open_store("memory:")
    claim = DeltaClaim(store, "one")
    assert claim.take() is not None
    working = store.transaction

    def away() -> object:
        raise StoreUnavailableError("away")

    store.transaction = away  # type: ignore[assignment, method-assign]
    claim.end(FIRST)
    assert claim.take() is None
    store.transaction = working  # type: ignore[method-assign]
    assert claim.take() == FIRST
