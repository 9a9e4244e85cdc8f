"""Mutants of a JSON document: another value, or nothing, in one place."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

PAYLOADS = sorted((Path(__file__).parents[1] / "payloads").glob("*.json"))
"""Samples of Meta's webhooks, one of each kind."""
GONE = object()
"""The replacement that removes a place."""
REPLACEMENTS: list[Any] = [
    GONE, None, True, False, 0, -1, 2**63, 10**40, 1.5, -0.0, 1e308, float("nan"), float("inf"), "", "forged text",
    "0", "-1", "١٢٣", "\ud800", "\x00", "x" * 100_000, [], [[]], [None], ["forged text"], {}, {"": {}},
    {"forged text": "forged text"}, {"type": {"type": []}},
]  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the path of each node below the top of a document."""
    items: list[tuple[Any, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def mutant(document: Any, path: tuple[Any, ...], replacement: Any) -> bytes:
    """Return the document's bytes with another value at one place, or without that place."""
    changed = copy.deepcopy(document)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if replacement is GONE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = replacement
    return json.dumps(changed).encode()


def broken(body: bytes, chance: random.Random) -> bytes:
    """Return a body with a few bytes changed, removed or added somewhere."""
    at = chance.randrange(len(body))
    size = chance.choice([0, 1, 1, 1, 3])
    added = chance.choice([b"", b"\xff", b'"', b"}", b"]", b",", b"\\ud83d", b"9" * 50, b"NaN", b'"to":1,', b"\xc3"])
    return body[:at] + added + body[at + size :]
