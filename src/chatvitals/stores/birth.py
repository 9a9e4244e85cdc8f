"""When a store began, and its own id: what all workers tell of the numbers that they share."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

_DOCUMENT = "birth"


class StoreBirth(NamedTuple):
    """When and as what a store began; copies of it keep both."""

    at: float
    """Unix seconds. All counters count since then, over restarts and changes of workers."""
    id: str
    """A UUID."""


def record_birth(store: Store, now: float) -> None:
    """Note that the store began at `now`, unless it is older.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    store.set_if_absent(_DOCUMENT, f"{now:.3f} {uuid.uuid4()}".encode())


def read_birth(store: Store) -> StoreBirth | None:
    """Return when the store began, or None where no worker has recorded it yet.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    found = store.document(_DOCUMENT)
    if found is None:
        return None
    at, _, name = found.decode().partition(" ")
    return StoreBirth(float(at), name)
