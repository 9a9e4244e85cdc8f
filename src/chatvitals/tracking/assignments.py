"""Assignment of variants by a keyed hash of the contact, stored in the contact's state."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from chatvitals.conversations import settling, state
from chatvitals.conversations.state import Kind
from chatvitals.events import Message
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.timeouts import LookupDeadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.context import ContactIds
    from chatvitals.conversations.identity import Hasher
    from chatvitals.conversations.state import ContactState
    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import ExperimentPlan

_KEPT = 20_000


class Assignments:
    """A cached look-up of variants in the store. A contact that is new to the store is drawn by its key.

    Args:
        store: the store of contacts.
        known_hasher: function that returns the hasher, or None where a new store has no identity key yet.
        first_hasher: function that creates the identity key of a new store and returns its hasher. It may block.
        clock: function that returns the time in Unix seconds.

    """

    def __init__(
        self,
        store: Store,
        known_hasher: Callable[[], Hasher | None],
        first_hasher: Callable[[], Hasher],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._known_hasher = known_hasher
        self._first_hasher = first_hasher
        self._clock = clock
        self._hasher: Hasher | None = None
        self._known: dict[tuple[str, int], str] = {}
        self._patience = LookupDeadline()  # the first call fetches the identity key
        self._lock = threading.Lock()

    def variant(self, plan: ExperimentPlan, person: ContactIds) -> str | None:
        """Return the variant of `person`, or None where the store cannot identify the contact."""
        try:
            keys = self._patience.run(partial(self._keys, person)) if self._is_far() else self._keys(person)
            # by key and not by person: the next call may use the contact's other id, before any commit
            known = [self._known.get((plan.name, key)) for key in keys]
            if known[0] is not None and len(set(known)) == 1:
                return known[0]
            key, contact = self._find(keys)
        except StoreUnavailableError:
            return None
        variant = _given(contact, plan.name) if contact is not None else None
        if variant not in plan.variants:  # None, or a variant that is no longer declared, which the bot may not know
            variant = next(filter(None, known), None) or plan.draw(key)
        with self._lock:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known.update({(plan.name, key): variant for key in keys})
        return variant

    def _is_far(self) -> bool:
        """Return whether the identity key must still be fetched from another host."""
        return self._hasher is None and self._store.remote

    def _keys(self, person: ContactIds) -> tuple[int, ...]:
        if self._hasher is None:
            # reading never waits; creating the key takes the store's lock, but only once in the store's life
            self._hasher = self._known_hasher() or self._first_hasher()
        return self._hasher.keys(
            Message(phone_number_id=person.phone_number_id, wa_id=person.wa_id, user_id=person.user_id, id="", type="")
        )

    def _find(self, keys: tuple[int, ...]) -> tuple[int, ContactState | None]:
        """Return key and state of the contact under these keys. A new contact has the first key and no state.

        A contact that has been silent for too long is new, even where its row is still in the store.
        """
        rows = self._store.rows(keys)
        for key in keys:
            row = rows.get(key)
            while isinstance(row, int):
                key = row  # noqa: PLW2901 - follow the link
                row = rows[key] if key in rows else self._store.rows((key,)).get(key)
            if row is not None:
                contact = state.decode(row)
                if not settling.is_forgotten(contact, self._clock()):
                    return key, contact
        return keys[0], None


def _given(contact: ContactState, experiment: str) -> str | None:
    """Return the variant that the contact has seen or is about to see, or None."""
    for exposure in contact.exposures:
        if exposure.experiment == experiment:
            return exposure.variant
    for item in contact.pending:
        if item.kind == Kind.EXPOSURE and item.name == experiment:
            return item.code
    return None
