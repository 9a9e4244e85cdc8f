"""Blocks of an exposition, each of which is compressed once however often it is sent."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from chatvitals.runtime import pacing

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEVEL = 1  # metrics are repetitive, so higher levels cost several times the CPU for little
_RAW = -zlib.MAX_WBITS
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, unknown system
_DEFLATE_END = b"\x03\0"
_SIZE_LIMIT = 1 << 32


class TextBlock:
    """Some lines of an exposition."""

    __slots__ = ("_packed", "text")

    def __init__(self, text: bytes) -> None:
        self.text: bytes = text
        self._packed: bytes | None = None

    def packed(self, compressor: zlib._Compress) -> bytes:
        """Return the compressed lines. They refer to nothing before them, so they fit behind any other block.

        Args:
            compressor: a compressor of raw deflate data, used if this block was not compressed yet.

        """
        if self._packed is None:
            self._packed = compressor.compress(self.text) + compressor.flush(zlib.Z_FULL_FLUSH)
        return self._packed


def plain(blocks: Iterable[TextBlock]) -> bytes:
    """Return the text of all blocks."""
    return b"".join([block.text for block in blocks])


def gzipped(blocks: Iterable[TextBlock]) -> bytes:
    """Return all blocks as one gzip member.

    The interpreter lock is free while zlib works. The thread gives way between blocks, because the core is busy.
    """
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    pieces = [_GZIP_HEAD]
    checksum = size = 0
    for block in blocks:
        pieces.append(block.packed(compressor))
        checksum = zlib.crc32(block.text, checksum)
        size += len(block.text)
        pacing.give_way()
    pieces += (_DEFLATE_END, struct.pack("<II", checksum, size % _SIZE_LIMIT))
    return b"".join(pieces)
