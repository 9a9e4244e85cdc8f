"""Increments of metric cells, collected over a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.metrics.catalogue import Family

Cell: TypeAlias = tuple[str, tuple[str, ...], int]
"""(family name, label values, field). Field 0 is the value of a counter or gauge. For a histogram, field i is the
count of observations in bucket i alone (the last bucket is +Inf) and field -1 is the sum.
"""

SUM = -1
NO_LABELS: tuple[str, ...] = ()


class Exemplar(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One observation that is part of a sampled trace."""

    trace: bytes
    """The packed context of its span: see `runtime.spans`."""
    value: float
    """Seconds."""
    at: float
    """Unix seconds."""


class SettledTurn(NamedTuple):
    """A turn that has ended and is part of a sampled trace."""

    trace: bytes
    """The packed context of its first webhook's span."""
    reply: bytes
    """That of the send that answered it, or empty."""
    start: float
    """Unix seconds."""
    end: float
    labels: dict[str, str]
    """What is known of it, by name; values may be empty."""


class Measurements:
    """Amounts to add, and points in time of which the latest counts, by cell; and what of it is part of a trace."""

    __slots__ = ("exemplars", "increments", "maxima", "turns")

    def __init__(self) -> None:
        self.increments: defaultdict[Cell, float] = defaultdict(float)
        self.maxima: dict[Cell, float] = {}
        self.exemplars: dict[Cell, Exemplar] = {}
        """By bucket, the latest observation."""
        self.turns: list[SettledTurn] = []

    def count(self, family: Family, labels: tuple[str, ...] = NO_LABELS, amount: float = 1.0) -> None:
        """Add `amount` to a counter or a gauge."""
        self.increments[family.name, labels, 0] += amount

    def observe(
        self, family: Family, labels: tuple[str, ...], seconds: float, trace: bytes = b"", at: float = 0.0
    ) -> None:
        """Add one observation to a histogram; what is not a finite number of at least 0 becomes 0 and a skew.

        Args:
            family: the histogram.
            labels: its label values.
            seconds: the observation.
            trace: the packed context of the span that it belongs to; empty where none is sampled.
            at: when it was made, in Unix seconds; needed with a trace.

        """
        if not 0.0 <= seconds < inf:  # also catches NaN: conversations/README.md 3, nothing negative, NaN or infinite
            self.count(catalogue.CLOCK_SKEWS)
            seconds = 0.0
        bucket = bisect_left(family.buckets, seconds)
        self._observe(family, labels, bucket, seconds)
        if trace:
            self.exemplars[family.name, labels, bucket] = Exemplar(trace, seconds, at)

    def observe_endless(
        self, family: Family, labels: tuple[str, ...], seconds: float, trace: bytes = b"", at: float = 0.0
    ) -> None:
        """Add an observation that counts in `+Inf` alone and adds its age `seconds` to the sum; else as `observe`."""
        if not 0.0 <= seconds < inf:
            self.count(catalogue.CLOCK_SKEWS)
            seconds = 0.0
        self._observe(family, labels, len(family.buckets), seconds)
        if trace:
            self.exemplars[family.name, labels, len(family.buckets)] = Exemplar(trace, seconds, at)

    def at_least(self, family: Family, labels: tuple[str, ...], value: float) -> None:
        """Raise a gauge to `value` where it is lower."""
        cell = (family.name, labels, 0)
        if not -inf < value < inf:
            self.count(catalogue.CLOCK_SKEWS)
        elif self.maxima.get(cell, -inf) < value:
            self.maxima[cell] = value

    def merge(self, adds: Mapping[Cell, float]) -> None:
        """Add the amounts of another batch."""
        for cell, amount in adds.items():
            self.increments[cell] += amount

    def _observe(self, family: Family, labels: tuple[str, ...], bucket: int, seconds: float) -> None:
        self.increments[family.name, labels, bucket] += 1.0
        self.increments[family.name, labels, SUM] += seconds
