"""The claim to push differences, and the values of the last push, as documents in the store.

A lease is not enough. Two hosts whose clocks differ by minutes may both believe that they hold it, and differences that
both push count twice. A claim needs no clock.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.stores.base import Changes, ConflictError, StoreUnavailableError

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

DOCUMENT: Final = "otlp"
_CLAIM: Final = "otlp-claim"
_ATTEMPTS: Final = 5


class Pushed(msgspec.Struct, array_like=True):
    """The values of the last push."""

    at: float
    """Unix seconds, or 0 where nothing was pushed yet."""
    values: dict[str, list[tuple[tuple[str, ...], dict[int, float]]]]
    """Label values and fields, by family."""
    store: str = ""
    """The id of the store with these values. A new store has another id."""


class DeltaClaim:
    """The right of one process to push the differences, for one push.

    Args:
        store: the shared store.
        holder: a unique name of this process.

    """

    def __init__(self, store: Store, holder: str) -> None:
        self._store = store
        self._holder = holder
        self._count = 0
        self._mine = b""
        self._seen = b""  # the claim of another process at the last look
        self._owed: Pushed | None = None  # pushed values that the store could not keep yet

    def take(self) -> Pushed | None:
        """Return the values of the last push, and hold the claim until `end`. None where this process must not push.

        The claim of another process stands until this process's next push. By then its holder has ended it, or is gone.
        """
        with suppress(StoreUnavailableError, ConflictError), self._store.transaction() as transaction:
            held = transaction.document(_CLAIM) or b""
            ours = held.startswith(self._holder.encode())
            if held and not ours and held != self._seen:
                self._seen = held
                return None
            document = transaction.document(DOCUMENT)
            pushed = Pushed(0.0, {}) if document is None else msgspec.msgpack.decode(document, type=Pushed)
            if ours and self._owed is not None:
                pushed = self._owed
            self._count += 1
            mine = f"{self._holder} {self._count}".encode()
            transaction.commit(Changes(documents={_CLAIM: mine}))
            self._mine, self._seen = mine, b""
            return pushed
        return None

    def end(self, pushed: Pushed | None) -> None:
        """End the claim. The pushed values are stored, unless another process has taken the claim meanwhile.

        Args:
            pushed: the values that the endpoint accepted, or None.

        """
        owed = self._owed if pushed is None else pushed
        self._owed = owed
        for _ in range(_ATTEMPTS):
            with suppress(ConflictError, StoreUnavailableError), self._store.transaction() as transaction:
                if transaction.document(_CLAIM) == self._mine:
                    documents = {_CLAIM: b""}
                    if owed is not None:
                        documents[DOCUMENT] = msgspec.msgpack.encode(owed)
                    transaction.commit(Changes(documents=documents))
                self._owed = None
                return
