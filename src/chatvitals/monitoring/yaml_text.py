"""Plain values as readable YAML, without PyYAML as a dependency of a bot."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_BARE = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_END = "\n"
_NO_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def dump(value: dict[str, Any]) -> str:
    r"""Return a mapping of mappings, lists, texts, numbers and truth values as YAML, in its own order.

    dump({"kind": "Service", "ports": [80]}) == "kind: Service\nports:\n  - 80\n"

    """
    return "\n".join(_mapping(value)) + "\n"


def _mapping(value: dict[str, Any]) -> Iterator[str]:
    for key, inner in value.items():
        yield from _entry(f"{_text(key)}:", inner)


def _entry(head: str, value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield head
        yield from (f"  {line}" if line else "" for line in _mapping(value))
    elif isinstance(value, list) and value:
        yield head
        for item in value:
            first, *others = _mapping(item) if isinstance(item, dict) and item else [_scalar(item)]
            yield f"  - {first}"
            yield from (f"    {line}" if line else "" for line in others)
    elif isinstance(value, str) and "\n" in value and not value.startswith((" ", "\n")):
        yield f"{head} {'|' if value.endswith(_END) else '|-'}"
        yield from (f"  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
    else:
        yield f"{head} {_scalar(value)}"


def _scalar(value: object) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    if _BARE.fullmatch(text) and text.lower() not in _NO_TEXT:
        return text
    return json.dumps(text, ensure_ascii=False)
