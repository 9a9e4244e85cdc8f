"""Compression of an exposition: one gzip member for any client, and no block is compressed twice."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from chatvitals.exporters.text_blocks import TextBlock, gzipped, plain
from chatvitals.runtime import pacing

if TYPE_CHECKING:
    import pytest


def unpacked(packed: bytes) -> bytes:
    """Read one gzip member as simple clients do, and nothing behind it."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    text = reader.decompress(packed)
    assert reader.eof
    assert reader.unused_data == b""
    return text


def test_all_blocks_are_one_gzip_member() -> None:
    """Some clients read only the first member of a compressed answer. The checksum and the size are right, too."""
    blocks = [TextBlock(b"turns 1\n" * 1000), TextBlock(b"turns 2\n"), TextBlock(b"# EOF\n")]
    assert unpacked(gzipped(blocks)) == plain(blocks) == b"turns 1\n" * 1000 + b"turns 2\n# EOF\n"
    assert len(gzipped(blocks)) < 200


def test_a_block_is_compressed_once() -> None:
    """A family without a change costs a scrape no compression."""

    class Counting:
        """A compressor that counts the bytes that it gets."""

        size = 0

        def compress(self, text: bytes) -> bytes:
            self.size += len(text)
            return b"packed"

        def flush(self, _: int) -> bytes:
            return b""

    block, compressor = TextBlock(b"turns 1\n"), Counting()
    assert [block.packed(compressor) for _ in range(2)] == [b"packed", b"packed"]  # type: ignore[arg-type]
    assert compressor.size == 8


def test_blocks_may_change_their_neighbours() -> None:
    """A block that was compressed behind one text is sent behind another one later."""
    last = TextBlock(b"the same words " * 9)
    gzipped([TextBlock(b"the same words " * 9), last])
    assert unpacked(gzipped([TextBlock(b"other"), last])) == b"other" + b"the same words " * 9


def test_no_block_is_an_empty_text() -> None:
    """A page without any family is a valid answer."""
    assert unpacked(gzipped([])) == b""


def test_compression_gives_way_after_each_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks at once keep the core for milliseconds, in which a request waits."""
    calls: list[int] = []
    monkeypatch.setattr(pacing, "give_way", lambda: calls.append(1))
    gzipped([TextBlock(b"turns 1\n"), TextBlock(b"turns 2\n"), TextBlock(b"# EOF\n")])
    assert len(calls) == 3
