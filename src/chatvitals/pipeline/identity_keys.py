"""The identity key, from the settings or the store, with the key that it replaces."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.conversations.identity import Hasher
from chatvitals.runtime.interval import Interval
from chatvitals.stores.base import Changes, ConflictError, StoreMistakeError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.runtime.advice import Advice
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store

DOCUMENT: Final = "identity_key"
"""Name of the store's document that holds the key, where no setting gives one."""
MOVE: Final = "identity_key_move"
"""Name of the store's document about a key that has moved into the settings."""
KEPT_DAYS: Final = 90
"""Days for which the store keeps the earlier key. Contacts without an event are forgotten by then."""

_KEY_BYTES: Final = 32
_DAY: Final = 86_400.0
_SECONDS: Final = 6 * 3600.0


class KeyMove(msgspec.Struct, gc=False, array_like=True):
    """The move of the identity key from a store into the settings."""

    at: float
    """Unix seconds. From then on, a worker had the key in its settings."""
    deleted: bool = False
    """Whether the store has deleted its own key since."""


def known_hasher(settings: Settings, store: Store) -> Hasher | None:
    """Return the hasher of the settings and the store, or None where the store has no key yet.

    A key in the settings replaces the key of `identity_key_previous`, or else the key that the store holds. Contacts
    are then found under both keys (SECURITY.md).

    Raises:
        StoreMistakeError: the key has moved to the settings of other workers, and these settings have none.
        StoreUnavailableError: the key or the key before it is in the store, which cannot be reached.

    """
    key, previous = settings.identity_key, settings.identity_key_previous
    if not key:
        refuse_missing_key(settings, store)
        stored = store.document(DOCUMENT)
        return None if stored is None else Hasher(stored)
    return Hasher(key, previous or _stored_key(store))


def first_hasher(settings: Settings, store: Store) -> Hasher:
    """Return the hasher of the settings and the store. A store without a key gets a random one.

    Raises:
        StoreMistakeError: the key has moved to the settings of other workers, and these settings have none.
        StoreUnavailableError: the store cannot be reached.

    """
    return known_hasher(settings, store) or Hasher(store.set_if_absent(DOCUMENT, secrets.token_bytes(_KEY_BYTES)))


def refuse_missing_key(settings: Settings, store: Store) -> None:
    """Check that settings without a key belong to a store that holds one, or that never had one.

    Raises:
        StoreMistakeError: the store has deleted its key, because it moved to the settings of other workers.
        StoreUnavailableError: the store cannot be reached.

    """
    if settings.identity_key:
        return
    move = _decode(store.document(MOVE))
    if move is not None and move.deleted:
        raise StoreMistakeError(
            "the identity key of this store has moved to the settings, and these settings have none: "
            "set identity_key (or CHATVITALS_IDENTITY_KEY) to the key that the other workers have"
        )


def record_move(settings: Settings, store: Store, now: float) -> None:
    """Note the day on which a key of the settings replaced the store's own. Delete the store's own 90 days later.

    Random bytes overwrite the key. An earlier version of chatvitals would take an empty key for a key, and a database
    may keep a removed row in its file.

    Args:
        settings: the settings of this worker. Without `identity_key`, nothing happens.
        store: the store. Workers may run meanwhile.
        now: Unix seconds.

    Raises:
        ConflictError: another worker has changed the documents meanwhile.
        StoreUnavailableError: the store cannot be used.

    """
    if not settings.identity_key or store.document(DOCUMENT) is None or not _is_due(store.document(MOVE), now):
        return
    with store.transaction() as transaction:
        document = transaction.document(MOVE)
        move = _decode(document)
        if not _is_due(document, now):
            return
        documents = {MOVE: msgspec.msgpack.encode(KeyMove(now))}
        if move is not None:
            documents = {DOCUMENT: secrets.token_bytes(_KEY_BYTES), MOVE: msgspec.msgpack.encode(KeyMove(now, True))}
        transaction.commit(Changes(documents=documents))


class MovedKey:
    """A periodic task that records the move of the key, and warns a worker that lacks it.

    Args:
        settings: the settings of this worker.
        store: the store.
        advice: the log of advice that is given once.
        clock: function that returns the time in Unix seconds.

    """

    def __init__(
        self, settings: Settings, store: Store, advice: Advice, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._advice = advice
        self._clock = clock
        self._interval = Interval(_SECONDS)

    def __call__(self) -> None:
        """Look four times a day."""
        now = self._clock()
        if not self._interval.is_over(now):
            return
        self._interval.start(now)
        try:
            record_move(self._settings, self._store, now)
            if not self._settings.identity_key:
                self._warn(_decode(self._store.document(MOVE)))
        except ConflictError:
            return  # another worker has done it
        except StoreUnavailableError:
            self._interval.end()

    def _warn(self, move: KeyMove | None) -> None:
        if move is not None and not move.deleted:
            day = time.strftime("%Y-%m-%d", time.gmtime(move.at + KEPT_DAYS * _DAY))
            self._advice.once(
                "Other workers have an identity_key in their settings, and this worker still uses the key in the "
                f"store, which is deleted on {day}. Set identity_key (or CHATVITALS_IDENTITY_KEY) here, too."
            )


def _stored_key(store: Store) -> bytes:
    """Return the store's own key, or empty bytes where it has none or has deleted it."""
    move = _decode(store.document(MOVE))
    return b"" if move is not None and move.deleted else store.document(DOCUMENT) or b""


def _is_due(document: bytes | None, now: float) -> bool:
    """Return whether the move is to be noted, or the key to be deleted."""
    move = _decode(document)
    return move is None or (not move.deleted and now - move.at >= KEPT_DAYS * _DAY)


def _decode(document: bytes | None) -> KeyMove | None:
    """Return a document about a move, or None where there is none that can be read."""
    try:
        return None if document is None else msgspec.msgpack.decode(document, type=KeyMove)
    except msgspec.MsgspecError:
        return None
