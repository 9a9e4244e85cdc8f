"""The number of random examples that a test tries, by the profile of Hypothesis (tests/conftest.py)."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

_ALL = 100


def share(count: int) -> int:
    """Return how many examples of `count` the profile wants: all, or a part of them at a developer's desk."""
    return max(1, count * settings.default.max_examples // _ALL)  # type: ignore[union-attr]


def examples(count: int, **more: Any) -> settings:
    """Return the settings of a property that needs another number of examples than the usual hundred.

    Args:
        count: the number with the profile `full`, as CI has it.
        more: further settings.

    """
    return settings(max_examples=share(count), **more)
