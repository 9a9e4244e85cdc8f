"""Who has which variant: decided by a keyed hash of the contact, and kept by the contact's state."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from chatvitals.events import Message
from chatvitals.reducer import state
from chatvitals.reducer.state import Kind
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.context import Contact as Person
    from chatvitals.experiments import ExperimentPlan
    from chatvitals.reducer.identity import Hasher
    from chatvitals.reducer.state import Contact
    from chatvitals.stores.base import Store

_KEPT = 20_000


class Assignments:
    """Looks a contact up in the store once, then remembers; a contact that is new to the store is drawn by its key."""

    def __init__(self, store: Store, hasher: Callable[[], Hasher]) -> None:
        self._store = store
        self._hasher = hasher
        self._patience = Patience()  # the first one that asks has the identity key fetched
        self._known: dict[tuple[str, Person], str] = {}
        self._lock = threading.Lock()

    def variant(self, plan: ExperimentPlan, person: Person) -> str | None:
        """Return the variant of `person`, or None where the store cannot tell who that is."""
        known = self._known.get((plan.name, person))
        if known is not None:
            return known
        try:
            hasher = self._patience.run(self._hasher) if self._store.remote else self._hasher()
            keys = hasher.keys(Message(number=person.number, phone=person.phone, user=person.user, id="", type=""))
            key, contact = self._find(keys)
        except StoreUnavailableError:
            return None
        variant = (_given(contact, plan.name) if contact is not None else None) or plan.draw(key)
        with self._lock:
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[plan.name, person] = variant
        return variant

    def _find(self, keys: tuple[int, ...]) -> tuple[int, Contact | None]:
        """Return the key and state of the contact that the store has under these keys; a new one is its first key."""
        rows = self._store.rows(keys)
        for key in keys:
            row = rows.get(key)
            while isinstance(row, int):
                key = row  # noqa: PLW2901 - follow the link
                row = rows[key] if key in rows else self._store.rows((key,)).get(key)
            if row is not None:
                return key, state.decode(row)
        return keys[0], None


def _given(contact: Contact, experiment: str) -> str | None:
    """Return the variant that the contact has seen already, or is about to have seen."""
    for exposure in contact.exposures:
        if exposure.experiment == experiment:
            return exposure.variant
    for item in contact.pending:
        if item.kind == Kind.EXPOSURE and item.name == experiment:
            return item.code
    return None
