"""The body of a POST, decoded as a whole or, where it is long, item by item.

The decoder holds the interpreter lock, so that the bot's event loop would wait milliseconds for a body of megabytes.
A long body is therefore cut: the items of its lists are decoded one by one, and a frame holds all the rest. Both ways
give equal results, also for invalid bodies. One item or one text is never cut, however long it is.
"""

from __future__ import annotations

import json
import re
from array import array
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from chatvitals.whatsapp import schema
from chatvitals.whatsapp.schema import REFUSED, ContactItem, Document, MessageItem, PreferenceItem, StatusItem, Wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG: Final = 65_536
"""Size in bytes from which a body is cut. Shorter bodies take the decoder less than 0.2 ms."""

_WINDOW: Final = 4096  # bytes that are searched for the end of one value at first
_STRETCH: Final = 8192  # bytes that are searched for items by one call
_MOST_PIECES: Final = 25_000  # a body with more can only be forged, and cutting it costs more than it saves

_DECODERS: Final[dict[str, Callable[[bytes], Any]]] = {
    "messages": msgspec.json.Decoder(MessageItem | Wrong).decode,
    "statuses": msgspec.json.Decoder(StatusItem | Wrong).decode,
    "message_echoes": msgspec.json.Decoder(MessageItem | Wrong).decode,
    "user_preferences": msgspec.json.Decoder(PreferenceItem | Wrong).decode,
    "contacts": msgspec.json.Decoder(ContactItem | Wrong).decode,
}

_scan = json.JSONDecoder().raw_decode
_space = re.compile(rb"[ \t\n\r]*").match
_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode

# The way to the lists of items: an object leads on by its keys, a list by each of its members, a name is such a list.
_STANDBY: Final[dict[str, Any]] = {name: name for name in ("contacts", "message_echoes")}
_VALUE: Final[dict[str, Any]] = {**{name: name for name in _DECODERS}, "standby": _STANDBY}
_SHAPE: Final[dict[str, Any]] = {"entry": [{"changes": [{"value": _VALUE}]}]}


class Body(Protocol):
    """A body that can be decoded. All methods raise one of `schema.REFUSED` where a part of it cannot be read."""

    def document(self) -> Document:
        """Return the keys that are read."""

    def cleaned(self) -> Body:
        """Return the same body as strict JSON, see `schema.clean`."""

    def everything(self) -> Any:
        """Return the whole document as plain objects and lists."""


def of(body: bytes, give_way: Callable[[], None] | None) -> Body:
    """Return a body, cut if it is long.

    Args:
        body: the bytes.
        give_way: called between two pieces of a long body. Without it no body is cut.

    """
    if give_way is not None and len(body) >= LONG:
        try:
            return _Cutter(body, give_way).cut()
        except REFUSED:  # no JSON for the cutter, and the decoder decides
            pass
    return _Whole(body)


class _Whole:
    """A body that is decoded by one call."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def document(self) -> Document:
        return schema.read(self._body)

    def cleaned(self) -> _Whole:
        return _Whole(schema.clean(self._body))

    def everything(self) -> Any:
        return schema.read_all(self._body)


class _Pieces:
    """A body that was cut. The frame holds all except the items, with an index in place of each item.

    Positions instead of copies of the items, because to free thousands of objects at once would take long, too.
    """

    def __init__(
        self, frame: bytes, body: bytes, names: list[str], bounds: array[int], give_way: Callable[[], None]
    ) -> None:
        self._frame = frame
        self._body = body
        self._names = names  # of the lists that the items are in
        self._bounds = bounds  # start and end of each item in the body, in turn
        self._give_way = give_way

    def document(self) -> Document:
        items = [_DECODERS[name](item) for name, item in self._items()]
        document = schema.read(self._frame)
        self._give_way()
        _fill(document, _SHAPE, items)
        self._give_way()
        return document

    def cleaned(self) -> _Pieces:
        body, bounds = bytearray(), array("q")
        for _, item in self._items():
            bounds.append(len(body))
            body += schema.clean(item)
            bounds.append(len(body))
        return _Pieces(schema.clean(self._frame), bytes(body), self._names, bounds, self._give_way)

    def everything(self) -> Any:
        try:
            return self._plain()
        except REFUSED:
            return self.cleaned()._plain()  # noqa: SLF001 - another object of this class

    def _plain(self) -> Any:
        items = [schema.read_plain(item) for _, item in self._items()]
        document = schema.read_plain(self._frame)
        self._give_way()
        _fill(document, _SHAPE, items)
        return document

    def _items(self) -> Iterator[tuple[str, bytes]]:
        """Give the items with the names of their lists, and give way between them."""
        bounds = self._bounds
        for index, name in enumerate(self._names):
            self._give_way()
            yield name, self._body[bounds[2 * index] : bounds[2 * index + 1]]
        self._give_way()


def _fill(node: Any, shape: Any, items: list[Any]) -> None:
    """Replace each index in the lists of a decoded frame by its item."""
    if type(shape) is str:
        if type(node) is list:
            node[:] = [items[index] for index in node]
    elif type(shape) is list:
        for member in node if type(node) is list else ():
            _fill(member, shape[0], items)
    else:
        for key, inner in shape.items():
            _fill(node.get(key) if type(node) is dict else getattr(node, key, None), inner, items)


class _Cutter:
    """A search for the items of a body. The scanner of `json` finds the end of each.

    Stretches of items are found faster: if the text up to a place is a valid list, the place is the end of an item.
    """

    def __init__(self, body: bytes, give_way: Callable[[], None]) -> None:
        self._body = body
        self._give_way = give_way
        self._names: list[str] = []
        self._bounds = array("q")
        self._frame: list[bytes] = []
        self._framed = 0  # position up to which the body is in the frame or an item
        self._left = _MOST_PIECES

    def cut(self) -> _Pieces:
        """Return the pieces.

        Raises:
            ValueError, RecursionError: the body is not JSON, or has too many pieces.

        """
        end = self._skip(self._value(self._skip(0), _SHAPE))
        if end != len(self._body):
            raise ValueError(end)
        self._frame.append(self._body[self._framed :])
        return _Pieces(b"".join(self._frame), self._body, self._names, self._bounds, self._give_way)

    def _skip(self, at: int) -> int:
        """Return the position of the next character that is not white space."""
        found = _space(self._body, at)
        return at if found is None else found.end()

    def _value(self, at: int, shape: Any) -> int:
        """Return the position behind the value at a position. Cut its items out."""
        first = self._body[at : at + 1]
        if type(shape) is dict and first == b"{":
            return self._object(at + 1, shape)
        if type(shape) in (list, str) and first == b"[":
            return self._list(at + 1, shape)
        return self._scan(at)[1]

    def _scan(self, at: int) -> tuple[Any, int]:
        """Return the value at a position, and the position behind it.

        In Latin-1 the positions are those of the bytes, and all of JSON's syntax is ASCII.
        """
        size = _WINDOW
        while True:
            text = self._body[at : at + size].decode("latin-1")
            try:
                value, end = _scan(text)
            except ValueError:
                end = len(text)
                value = None
                if at + size >= len(self._body):
                    raise
            if end < len(text) or at + size >= len(self._body):
                return value, at + end
            size *= 4  # the value may go on behind the window

    def _object(self, at: int, shape: dict[str, Any]) -> int:
        at = self._skip(at)
        if self._body[at : at + 1] == b"}":
            return at + 1
        while True:
            key, at = self._scan(at)
            at = self._skip(at)
            if type(key) is not str or self._body[at : at + 1] != b":":
                raise ValueError(at)
            at = self._skip(self._value(self._skip(at + 1), shape.get(key)))
            if self._body[at : at + 1] == b"}":
                return at + 1
            at = self._behind_comma(at)

    def _list(self, at: int, shape: Any) -> int:
        at = self._skip(at)
        if self._body[at : at + 1] == b"]":
            return at + 1
        while True:
            at = self._skip(self._items_from(at, shape) if type(shape) is str else self._value(at, shape[0]))
            if self._body[at : at + 1] == b"]":
                return at + 1
            at = self._behind_comma(at)
            self._give_way()

    def _items_from(self, at: int, name: str) -> int:
        """Cut one item out, or a stretch of several items at once."""
        end = self._body.find(b"},{", at + _STRETCH, at + 2 * _STRETCH) + 1
        sizes = _item_sizes(self._body[at:end])
        if not sizes:
            end = self._scan(at)[1]
            sizes = [end - at]
        first, start = len(self._names), at
        for size in sizes:
            self._names.append(name)
            self._bounds.extend((start, start + size))
            start += size + 1
        self._left -= len(sizes) - 1
        self._frame += (self._body[self._framed : at], ",".join(map(str, range(first, len(self._names)))).encode())
        self._framed = end
        return end

    def _behind_comma(self, at: int) -> int:
        self._left -= 1
        if self._body[at : at + 1] != b"," or self._left <= 0:
            raise ValueError(at)
        return self._skip(at + 1)


def _item_sizes(stretch: bytes) -> list[int]:
    """Return the sizes of items that single commas separate. The list is empty for any other text."""
    try:
        sizes = list(map(len, _raw_items(b"[%b]" % stretch)))
    except REFUSED:  # the text ends inside an item
        return []
    return sizes if sum(sizes) + len(sizes) - 1 == len(stretch) else []
