"""The start time and the id of a store, which all workers report with their shared numbers."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

_DOCUMENT = "birth"


class StoreBirth(msgspec.Struct, frozen=True):
    """The start time and the id of a store. Copies of a store keep both."""

    at: float
    """Unix seconds. All counters count since then, across restarts and changes of workers."""
    id: str
    """A UUID."""


def record_birth(store: Store, now: float) -> None:
    """Record that the store began at `now`, unless a start is recorded already.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    store.set_if_absent(_DOCUMENT, f"{now:.3f} {uuid.uuid4()}".encode())


def read_birth(store: Store) -> StoreBirth | None:
    """Return the store's birth, or None where no worker has recorded it yet.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    found = store.document(_DOCUMENT)
    if found is None:
        return None
    at, _, name = found.decode().partition(" ")
    return StoreBirth(float(at), name)
