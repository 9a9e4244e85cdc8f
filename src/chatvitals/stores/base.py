"""What the pipeline asks of a store: load states, commit states and metric cells together, read the cells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from chatvitals.metrics.measurements import Cell

Row: TypeAlias = bytes | int
"""A contact's encoded state, or the key of the contact to which this key leads."""

Mark: TypeAlias = tuple[str, str, int]
"""(kind, label value of the business number, contact's key): one point in time of which the earliest is shown.

The kind is the family's name with its further label values: see `mark_kind`.
"""


LEASE_TOLERANCE = 5.0
"""Seconds by which the clocks of two hosts that share a store may differ."""


class StoreUnavailableError(Exception):
    """The store cannot be reached or used now; the message says what to do, and trying again later is right."""


class UncertainError(StoreUnavailableError):
    """The answer to a commit was lost: it may have taken effect, or may yet.

    Reducing the same events again could count them twice. `again` sends the very same commit once more, which takes
    effect once however often it is sent; it raises `ConflictError` when it did not and never will, and another
    `UncertainError` while the store still does not answer.
    """

    def __init__(self, message: str, again: Callable[[], None]) -> None:
        super().__init__(message)
        self.again = again


class RefusedDataError(Exception):
    """The store works, and refuses a value of this commit: sent again, it would be refused again."""


class ConflictError(Exception):
    """Another process changed what was loaded; loading and reducing again is right."""


@dataclass(slots=True)
class Changes:
    """One commit: everything in it takes effect, or nothing."""

    states: dict[int, tuple[bytes, float]] = field(default_factory=dict)  # with the time when it is due next
    links: dict[int, int] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    open_since: dict[Mark, float | None] = field(default_factory=dict)  # None removes the mark
    increments: dict[Cell, float] = field(default_factory=dict)
    maxima: dict[Cell, float] = field(default_factory=dict)  # raises the cell to this value where it is lower
    documents: dict[str, bytes] = field(default_factory=dict)  # small and few: what is known of the business itself
    ttls: dict[int, tuple[float, Sequence[int]]] = field(default_factory=dict)
    """For remote stores, which forget what nobody sweeps: for how many seconds to keep a state at least, and all keys
    that lead to it."""


def is_label(value: object) -> bool:
    """Return whether a value that was read may be a label: others would break the exposition of the host, too."""
    return isinstance(value, str) and (not value or value.isprintable())


def mark_kind(family: str, labels: Iterable[str]) -> str:
    """Return the kind of a mark: the family's name, and the label values that follow the business number."""
    return "/".join((family, *labels))


def mark_labels(kind: str) -> tuple[str, tuple[str, ...]]:
    """Return the family's name and the further label values of a mark's kind."""
    family, *labels = kind.split("/")
    return family, tuple(labels)


def is_free(lease: tuple[str, float, float], holder: str, now: float) -> bool:
    """Return whether `holder` may take a lease, which is (holder, given, ends) in Unix seconds."""
    held_by, given, ends = lease
    return held_by == holder or not given - LEASE_TOLERANCE <= now < ends


class StoreInfo(NamedTuple):
    """What a store is, for people."""

    kind: str
    version: int  # of the format in which it keeps things
    size: int  # bytes that it takes, as far as it knows


class Transaction(Protocol):
    """Reads and one commit that belong together."""

    remote: ClassVar[bool]
    """Whether each call is a round trip, so that one for all is better than several for less."""

    def load(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one."""

    def due(self, now: float, limit: int) -> dict[int, bytes]:
        """Return states whose due time is at or before `now`, at most `limit`, the earliest first."""

    def document(self, name: str) -> bytes | None:
        """Return a document, or None where there is none yet."""

    def commit(self, changes: Changes) -> None:
        """Make `changes` take effect; at most once per transaction.

        Raises:
            ConflictError: what was loaded has changed meanwhile.
            RefusedDataError: the store refuses a value; nothing took effect.
            UncertainError: it is not known whether it took effect.
            StoreUnavailableError: nothing took effect.

        """


class Store(Protocol):
    """Contact states, metric cells and settings of all workers of one bot."""

    remote: ClassVar[bool]
    """Whether the store is reached over a network, which the bot must not wait for."""

    unreadable: int
    """How many rows the latest `cells` left out because this version cannot read them."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Begin a transaction; leaving the `with` block without a commit undoes it.

        Raises:
            StoreUnavailableError: the store cannot be used now.

        """

    def rows(self, keys: Iterable[int]) -> dict[int, Row]:
        """Return the rows of those keys that have one, without waiting for anyone who writes.

        Raises:
            StoreUnavailableError: they cannot be read at once.

        """

    def cells(self) -> dict[Cell, float]:
        """Return all metric cells, as one consistent picture."""

    def oldest_open(self) -> dict[tuple[str, str], float]:
        """Return the earliest mark of each (kind, business number) that has one."""

    def document(self, name: str) -> bytes | None:
        """Return a document, or None where there is none yet."""

    def set_if_absent(self, name: str, value: bytes) -> bytes:
        """Store `value` under `name` unless there is one, and return the one that is there."""

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Give or renew a lease to `holder`; return False while somebody else has it.

        Args:
            name: what is leased.
            holder: who asks; unique among all processes.
            seconds: for how long, from `now` on; 0 gives it back.
            now: Unix seconds. A lease that was given after `now` counts for nothing: the clock has been set back.

        Raises:
            StoreUnavailableError: the store cannot be used now.

        """

    def advice(self) -> str:
        """Return a sentence on what endangers the store although it works, or an empty text; it never raises."""

    def about(self) -> StoreInfo:
        """Return what this store is and how large."""

    def dump(self) -> Iterator[Changes]:
        """Return everything but leases in pieces, as of one moment; all of them committed make a copy."""

    def compact(self) -> None:
        """Give back room that is not needed any more; it may take long and hold up writers."""

    def close(self) -> None:
        """Release what is open; using the store again opens it again."""
