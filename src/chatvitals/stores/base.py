"""The interface of a store: load states, commit states and metric cells together, read the cells."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from chatvitals.metrics.measurements import Cell

__all__ = [
    "LEASE_TOLERANCE",
    "Changes",
    "ConflictError",
    "Mark",
    "RefusedDataError",
    "Row",
    "Store",
    "StoreInfo",
    "StoreMistakeError",
    "StoreUnavailableError",
    "Transaction",
    "UncertainError",
    "is_free",
    "is_label",
    "mark_kind",
    "mark_labels",
]

Row: TypeAlias = bytes | int
"""A contact's encoded state, or the key of another contact that this key is an alias of."""

Mark: TypeAlias = tuple[str, str, int]
"""(kind, label value of the business number, contact's key): a time of which only the earliest is shown.

The kind is the family's name with its further label values, see `mark_kind`.
"""


LEASE_TOLERANCE = 5.0
"""Seconds by which the clocks of two hosts that share a store may differ."""


class StoreUnavailableError(Exception):
    """The store cannot be reached or used now. The message says what to do. It is right to try again later."""


class StoreMistakeError(StoreUnavailableError):
    """The store can never be used like this: somebody must change its URL, its file, its rights or its login."""


class UncertainError(StoreUnavailableError):
    """The answer to a commit was lost, so that the commit may have taken effect, or still may.

    To reduce the same events again could count them twice. `again` sends the same commit once more. The commit takes
    effect once, however often it is sent. `again` raises `ConflictError` if the commit did not and never will take
    effect, and another `UncertainError` while the store still does not answer.

    Args:
        message: a sentence for people.
        again: function that sends the same commit once more.

    """

    def __init__(self, message: str, again: Callable[[], None]) -> None:
        super().__init__(message)
        self.again = again


class RefusedDataError(Exception):
    """The store works, but refuses a value of this commit. It would refuse the value again."""


class ConflictError(Exception):
    """Another process changed the loaded data. It is right to load and reduce again."""


class Changes(msgspec.Struct):
    """One commit. Either all of it takes effect, or nothing."""

    states: dict[int, tuple[bytes, float]] = msgspec.field(default_factory=dict)
    """Encoded states by key, each with the time of its next work in Unix seconds."""
    silent: set[int] = msgspec.field(default_factory=set)
    """Keys of states that only wait for their deletion. A store may keep them apart from the others."""
    links: dict[int, int] = msgspec.field(default_factory=dict)
    """Keys that are aliases, each with the key of its contact."""
    removed: set[int] = msgspec.field(default_factory=set)
    """Keys of states and aliases that are deleted."""
    open_since: dict[Mark, float | None] = msgspec.field(default_factory=dict)
    """Marks with their times in Unix seconds. None removes the mark."""
    increments: dict[Cell, float] = msgspec.field(default_factory=dict)
    """Amounts that are added to cells."""
    maxima: dict[Cell, float] = msgspec.field(default_factory=dict)
    """Times to which cells are raised where they are earlier, unless `latest` shows that a clock was wrong."""
    dropped: set[Cell] = msgspec.field(default_factory=set)
    """Cells that are deleted."""
    documents: dict[str, bytes] = msgspec.field(default_factory=dict)
    """Few and small texts by name, such as the state of the business."""
    latest: float = inf
    """Unix seconds. A stored maximum that is later is of a wrong clock."""
    ttls: dict[int, tuple[float, Sequence[int]]] = msgspec.field(default_factory=dict)
    """For remote stores, whose data expires: the least time in seconds to keep a state, and all keys of the contact."""


def is_label(value: object) -> bool:
    """Return whether a value from the store is a valid label. Other values would break the host's exposition, too.

    Args:
        value: any value.

    """
    return isinstance(value, str) and (not value or value.isprintable())


def mark_kind(family: str, labels: Iterable[str]) -> str:
    """Return the kind of a mark, which is the family's name and the label values after the business number.

        mark_kind("turns_open", ["first"])   # "turns_open/first"

    Args:
        family: name of the family.
        labels: the further label values.

    """
    return "/".join((family, *labels))


def mark_labels(kind: str) -> tuple[str, tuple[str, ...]]:
    """Return the family's name and the further label values of a mark's kind.

    Args:
        kind: the result of `mark_kind`.

    """
    family, *labels = kind.split("/")
    return family, tuple(labels)


def is_free(lease: tuple[str, float, float], holder: str, now: float) -> bool:
    """Return whether a process may take a lease.

    Args:
        lease: the holder, and the Unix seconds at which the lease was given and at which it ends.
        holder: id of the process.
        now: Unix seconds.

    """
    held_by, given, ends = lease
    return held_by == holder or not given - LEASE_TOLERANCE <= now < ends


class StoreInfo(msgspec.Struct, frozen=True):
    """Facts about a store, for people."""

    kind: str
    """Such as `sqlite`."""
    version: int
    """Version of the storage format."""
    size: int
    """Bytes, as far as the store knows them."""


class Transaction(Protocol):
    """Reads and one commit that belong together."""

    remote: ClassVar[bool]
    """Whether each call is a round trip, so that one large call is better than several small calls."""

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one.

        Args:
            keys: keys of contacts, as signed numbers of 64 bits.

        """

    def due(self, now: float, limit: int) -> dict[int, bytes]:
        """Return states whose due time is at or before `now`, at most `limit`, the earliest first.

        Silent states come last, and may come a day late.

        Args:
            now: Unix seconds.
            limit: the largest number of states.

        """

    def document(self, name: str) -> bytes | None:
        """Return a document, or None where it does not exist yet.

        Args:
            name: name of the document.

        """

    def commit(self, changes: Changes) -> None:
        """Apply `changes`, at most once per transaction.

        Args:
            changes: the whole commit.

        Raises:
            ConflictError: loaded data has changed meanwhile.
            RefusedDataError: the store refuses a value, and nothing took effect.
            UncertainError: it is not known whether the commit took effect.
            StoreUnavailableError: nothing took effect.

        """


class Store(Protocol):
    """Contact states, metric cells and settings of all workers of one bot."""

    remote: ClassVar[bool]
    """Whether the store is reached over a network. The bot must not wait for such a store."""

    unreadable: int
    """Number of rows that the latest `cells` left out because this version cannot read them."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Return a transaction for a `with` block. A block without a commit undoes it.

        Raises:
            StoreUnavailableError: the store cannot be used now.

        """

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of the keys that have one, without waiting for a writer.

        Args:
            keys: keys of contacts, as signed numbers of 64 bits.

        Raises:
            StoreUnavailableError: the rows cannot be read at once.

        """

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, as one consistent snapshot. The caller may change it."""

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each (kind, business number)."""

    def document(self, name: str) -> bytes | None:
        """Return a document, or None where it does not exist yet.

        Args:
            name: name of the document.

        """

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store a value if nothing is stored under its name yet. Return the stored value.

        Args:
            name: name of a document.
            value: its content.

        Raises:
            StoreUnavailableError: the store cannot be used now.

        """

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Give or renew a lease to `holder`. Return False while another holder has it.

        Args:
            name: name of the lease.
            holder: id of the caller, unique among all processes.
            seconds: duration from `now` on. 0 gives the lease back.
            now: Unix seconds. A lease that was given after `now` is ignored, because the clock has been set back.

        Raises:
            StoreUnavailableError: the store cannot be used now.

        """

    def advice(self) -> str:
        """Return a sentence on a risk to the working store, or the empty string. It never raises."""

    def about(self) -> StoreInfo:
        """Return facts about this store, such as its size."""

    def dump(self) -> Iterator[Changes]:
        """Yield everything except leases in pieces. A local store yields it as of one time.

        A commit of all pieces makes a copy.
        """

    def compact(self) -> None:
        """Free unused space. It may take long and delay writers."""

    def close(self) -> None:
        """Release open resources. The store opens them again on its next use."""
