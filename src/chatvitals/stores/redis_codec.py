"""Encoding of rows, keys and changes for the scripts: few arguments, each packed by one call per record."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import lru_cache
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any

import msgspec

from chatvitals.runtime import pacing
from chatvitals.stores.base import RefusedDataError, is_label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Changes, Row

ABSENT = bytes(8)
"""The version of a missing row."""

_KEPT_SECONDS = 98 * 86_400  # default time to keep a state
_NAMES_KEPT = 50_000
_CELLS_AT_ONCE = 50
_LINK = ord("L")
_KEY_SIZE = 8

_encode = msgspec.msgpack.Encoder().encode
_rows = msgspec.msgpack.Decoder(list[bytes]).decode
_cell = msgspec.msgpack.Decoder(tuple[str, tuple[str, ...], int]).decode
_raw = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_mark = msgspec.msgpack.Decoder(tuple[str, str]).decode

_key = struct.Struct("<q").pack
_check = struct.Struct("<q8s").pack
_link = struct.Struct("<qqI").pack
_state = struct.Struct("<qdIII").pack
_marked = struct.Struct("<BqdI").pack
_amount = struct.Struct("<dI").pack
_size = struct.Struct("<I").pack
_head = struct.Struct("<q8sB")


def keys(wanted: Iterable[int]) -> bytes:
    """Return keys packed for a script."""
    return b"".join(map(_key, wanted))


def rows(packed: bytes, versions: dict[int, bytes]) -> dict[int, Row]:
    """Return the rows of a script's answer. Record in `versions` those that are read for the first time."""
    found: dict[int, Row] = {}
    head, size = _head.unpack_from, _head.size
    for record in _rows(packed):
        key, version, kind = head(record.ljust(size, b"\0"))  # a shorter row is somebody else's and unreadable
        versions.setdefault(key, version)
        row = record[size:]
        found[key] = int.from_bytes(row, "little", signed=True) if kind == _LINK and len(row) == _KEY_SIZE else row
    return found


def cells(pieces: list[bytes]) -> tuple[dict[Cell, float], int]:
    """Return the cells of a script's answer, and the number of unreadable cells.

    Args:
        pieces: in turn a MessagePack array of names, and their numbers, separated by spaces. It is empty afterwards.

    """
    found: dict[Cell, float] = {}
    amount = 0
    while len(pieces) > 1:
        values, names = pieces.pop().split(b" "), pieces.pop()
        amount += len(values)
        _add_cells(found, names, values)
    return found, amount - len(found)


def _add_cells(found: dict[Cell, float], names: bytes, values: list[bytes]) -> None:
    packed: list[msgspec.Raw] = []
    with suppress(msgspec.MsgspecError):  # a name that is not valid MessagePack hides all names of its piece
        packed = _raw(names)
    for count, (name, text) in enumerate(zip(packed, values, strict=False), 1):
        cell = _cell_named(bytes(name))
        value = _value(text)
        if cell is not None and -inf < value < inf:
            found[cell] = value
        if not count % _CELLS_AT_ONCE:
            pacing.give_way()


@lru_cache(maxsize=131_072)  # a scrape reads the names of the last scrape again
def _cell_named(name: bytes) -> Cell | None:
    try:
        cell = _cell(name)
    except msgspec.MsgspecError:
        return None
    return cell if all(map(is_label, cell[1])) else None


def _value(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def marks(found: list[bytes]) -> dict[tuple[str, str], float]:
    """Return the times of a script's answer, in which names and values alternate."""
    times: dict[tuple[str, str], float] = {}
    for name, at in zip(found[::2], found[1::2], strict=True):
        with suppress(msgspec.MsgspecError):  # somebody else's name
            times[_mark(name)] = float(at)
    return times


def page(packed: bytes, times: bytes) -> dict[int, tuple[bytes, float]]:
    """Return the states of a script's answer, with their due times."""
    states = rows(packed, {})
    due = map(float, times.split())
    return {key: (row, at) for (key, row), at in zip(states.items(), due, strict=True) if isinstance(row, bytes)}


def all_marks(found: list[bytes]) -> dict[tuple[str, str, int], float]:
    """Return the marks of a script's answer, in which names, contacts and times alternate."""
    times: dict[tuple[str, str, int], float] = {}
    for name, key, at in zip(found[::3], found[1::3], found[2::3], strict=True):
        with suppress(msgspec.MsgspecError):  # as above
            if len(key) == _KEY_SIZE:
                times[(*_mark(name), int.from_bytes(key, "little", signed=True))] = float(at)
    return times


class Packer:
    """A packer of commits. It caches the names of cells and marks, which are few."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: dict[tuple[Any, ...], bytes] = {}

    def commit(
        self, versions: dict[int, bytes], changes: Changes, firsts: dict[str, bytes], digests: dict[str, bytes]
    ) -> tuple[bytes, ...]:
        """Return the arguments of a commit that requires that rows and documents have not changed since they were read.

        Args:
            versions: versions of all rows that were read, `ABSENT` where there was no row.
            changes: the changes to write.
            firsts: documents to restore where they are missing.
            digests: digests of the documents that were read, empty where there was no document.

        Raises:
            RefusedDataError: an amount is not finite, or a time is not a number. The script would stop there, after its
                first writes.

        """
        keep = changes.ttls
        forever = (_KEPT_SECONDS, ())
        states: list[bytes] = []
        for key, (state, due) in changes.states.items():
            pacing.give_way()
            if isnan(due):
                raise RefusedDataError("the store refuses a due time that is not a number")
            seconds, known_by = keep.get(key, forever)
            aliases = keys(known_by)
            states += (_state(key, due, int(seconds), len(aliases), len(state)), aliases, state)
        links = [_link(key, to, int(keep.get(to, forever)[0])) for key, to in changes.links.items()]
        return (
            b"".join([_check(key, version) for key, version in versions.items()]),
            b"".join(states),
            b"".join(links),
            keys(changes.removed),
            b"".join([self._mark(kind, number, key, at) for (kind, number, key), at in changes.open_since.items()]),
            self._amounts(changes.increments),
            self._amounts(changes.maxima),
            _texts(changes.documents),
            _texts(firsts),
            _texts(digests),
            b"".join([part for name in map(self._name, changes.dropped) for part in (_size(len(name)), name)]),
            b"%.3f" % changes.latest,
        )

    def _amounts(self, amounts: dict[Cell, float]) -> bytes:
        parts: list[bytes] = []
        for cell, amount in amounts.items():
            if not -inf < amount < inf:
                raise RefusedDataError(f"the store refuses an amount of {cell[0]} that is not finite")
            pacing.give_way()
            name = self._name(cell)
            parts += (_amount(amount, len(name)), name)
        return b"".join(parts)

    def _mark(self, kind: str, number: str, key: int, at: float | None) -> bytes:
        if at is not None and isnan(at):
            raise RefusedDataError(f"the store refuses a time of {kind} that is not a number")
        name = self._name((kind, number))
        return _marked(at is not None, key, at or 0.0, len(name)) + name

    def _name(self, parts: tuple[Any, ...]) -> bytes:
        name = self._names.get(parts)
        if name is None:
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            name = self._names[parts] = _encode(parts)
        return name


def _texts(texts: dict[str, bytes]) -> bytes:
    parts: list[bytes] = []
    for name, value in texts.items():
        encoded = name.encode()
        parts += (_size(len(encoded)), encoded, _size(len(value)), value)
    return b"".join(parts)
