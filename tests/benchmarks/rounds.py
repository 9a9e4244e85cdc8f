"""Interleaved rounds: whatever else the machine does falls on all subjects alike, and only differences are reported."""

from __future__ import annotations

import asyncio
import gc
import statistics
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from tests.benchmarks.apps import Subject

T = TypeVar("T")


class Added(NamedTuple):
    """Microseconds that a subject adds to the bare app, over rounds."""

    median: float
    p95: float


def added(found: Sequence[float], bare: Sequence[float]) -> Added:
    """Return the differences of each round, in the unit of the figures."""
    differences = sorted(one - other for one, other in zip(found, bare, strict=True))
    return Added(statistics.median(differences), differences[min(int(len(differences) * 0.95), len(differences) - 1)])


def rotated(items: Sequence[T], turn: int) -> list[T]:
    """Return the items, in each round another one first."""
    first = turn % len(items)
    return [*items[first:], *items[:first]]


def quick_half(values: Sequence[float]) -> float:
    """Return the mean of the quicker half: what interrupts a request is no property of the app."""
    return statistics.fmean(sorted(values)[: max(len(values) // 2, 1)])


def run(rounds: Callable[[], Coroutine[None, None, None]], subjects: Sequence[Subject]) -> None:
    """Run all rounds in one event loop, and close the subjects."""
    gc.collect()
    gc.freeze()  # prepared traffic is the benchmark's: no full collection should go through it
    try:
        asyncio.run(rounds())
    finally:
        for subject in subjects:
            subject.close()
        gc.unfreeze()
