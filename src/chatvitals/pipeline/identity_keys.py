"""The identity key, from the settings or the store, with the key that it replaces."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from chatvitals.conversations.identity import Hasher

if TYPE_CHECKING:
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

DOCUMENT: Final = "identity_key"
"""Name of the store's document that holds the key, where no setting gives one."""

_KEY_BYTES: Final = 32


def known_hasher(settings: Settings, store: Store) -> Hasher | None:
    """Return the hasher of the settings and the store, or None where the store has no key yet.

    A key in the settings replaces the key of `identity_key_previous`, or else the key that the store holds. Contacts
    are then found under both keys (SECURITY.md).

    Raises:
        StoreUnavailableError: the key or the key before it is in the store, which cannot be reached.

    """
    key, previous = settings.identity_key, settings.identity_key_previous
    if not key:
        stored = store.document(DOCUMENT)
        return None if stored is None else Hasher(stored)
    return Hasher(key, previous or store.document(DOCUMENT) or b"")


def first_hasher(settings: Settings, store: Store) -> Hasher:
    """Return the hasher of the settings and the store. A store without a key gets a random one.

    Raises:
        StoreUnavailableError: the store cannot be reached.

    """
    return known_hasher(settings, store) or Hasher(store.set_if_absent(DOCUMENT, secrets.token_bytes(_KEY_BYTES)))
