"""Increments of metric cells, collected over a batch."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from math import inf
from typing import TYPE_CHECKING, TypeAlias

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
    """Packed context of its span, see `runtime.spans`."""
    value: float
    """Seconds."""
    at: float
    """Unix seconds."""


class SettledTurn(msgspec.Struct, frozen=True):
    """A turn that has ended and is part of a sampled trace."""

    trace: bytes
    """The packed context of its first webhook's span."""
    reply: bytes
    """Packed context of the span of the send that answered it, or empty."""
    start: float
    """Unix seconds."""
    end: float
    labels: dict[str, str]
    """Labels by name. Values may be empty."""


class Measurements:
    """Increments and maxima by metric cell, and the observations and turns of sampled traces."""

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
        """Add one observation to a histogram. A negative, NaN or infinite value becomes 0 and counts as a skew.

        Args:
            family: the histogram.
            labels: its label values.
            seconds: the observation.
            trace: packed context of its span. It is empty where no span is sampled.
            at: time of the observation in Unix seconds, needed with a trace.

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
        """Add an observation like `observe`, which counts only in the bucket `+Inf` and adds `seconds` to the sum."""
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
