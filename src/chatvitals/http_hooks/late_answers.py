"""Answers whose body the bot reads later and in pieces. A send counts once the body has been read or closed.

Only the bot may read the body, so the hook looks at the results of the bot's own reads. It wraps the methods of this
one response by attributes, and its class stays, because bots may compare it. They hold the response, because a bot may
fetch a method and drop the response at once, as in `pool.request(…).read()`. A response that the bot drops unread is
freed by the garbage collector, and then counts by its status and by the part that was read.
"""

from __future__ import annotations

import functools
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from chatvitals.http_hooks.observer import Pending


def _nothing(_response: Any) -> None:
    return None


class Ways(NamedTuple):
    """The names of the methods of a response by which its body is read or closed."""

    ends: tuple[str, ...]
    """Methods that close the response."""
    iterators: tuple[str, ...] = ()
    """Methods that return the body in pieces."""
    async_iterators: tuple[str, ...] = ()
    """Such methods that are asynchronous."""
    reads: tuple[str, ...] = ()
    """Methods that return a part of the body."""
    async_reads: tuple[str, ...] = ()
    """Such methods that are coroutines."""
    async_ends: tuple[str, ...] = ()
    """Methods that close the response and are coroutines."""
    received: Callable[[Any], bytes | None] = _nothing
    """Maps the response to its whole body if that is in memory, also where the bot has not read it."""


class LateAnswer:
    """The wait for the body of one answer.

    Args:
        pending: the send.
        response: the response of the client.
        status: the HTTP status.
        ways: the methods of the response that matter.

    """

    def __init__(self, pending: Pending, response: Any, status: int, ways: Ways) -> None:
        self._pending = pending
        self._status = status
        self._received = ways.received
        self._ours: dict[str, _Wrapped] = {}
        self._pieces: list[bytes] = []
        self._size = 0
        self._reading = 0  # reads that are under way; some methods read by another method, and close at the end
        ours = {
            **dict.fromkeys(ways.iterators, self._iterate),
            **dict.fromkeys(ways.async_iterators, self._aiterate),
            **dict.fromkeys(ways.reads, self._read),
            **dict.fromkeys(ways.async_reads, self._aread),
            **dict.fromkeys(ways.ends, self._end),
            **dict.fromkeys(ways.async_ends, self._aend),
        }
        kind = type(response)
        if not all(hasattr(kind, name) for name in ways.ends) or not hasattr(response, "__dict__"):
            pending.finish(status, None)  # a stand-in of another class
            return
        pending.answered()
        self.response = response
        self._ours = {name: _Wrapped(call, name) for name, call in ours.items() if hasattr(kind, name)}
        self._before = {name: vars(response).get(name) for name in self._ours}
        self._gone = weakref.finalize(response, _count, pending, status, self._pieces)
        self._gone.atexit = False
        vars(response).update(self._ours)

    def is_over(self) -> None:
        """Finish where the whole body is in memory, or where none of the bot's reads is under way."""
        with self._pending.guard("clients"):
            if self._ours and (not self._reading or self._received(self.response) is not None):
                self._finish()

    def _bare(self, name: str) -> Callable[..., Any]:
        """Return the response's own method without our wrapper."""
        before, response = self._before[name], self.response
        own: Callable[..., Any] = getattr(type(response), name).__get__(response) if before is None else before
        return own

    def _iterate(self, name: str, *args: Any, **kwargs: Any) -> Iterator[Any]:
        pieces: Iterator[Any] = self._bare(name)(*args, **kwargs)
        return pieces if self._reading else self._copied(pieces)

    def _copied(self, pieces: Iterator[Any]) -> Iterator[Any]:
        with self._whole():
            for piece in pieces:
                with self._handing(piece):
                    yield piece

    def _aiterate(self, name: str, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        pieces: AsyncIterator[Any] = self._bare(name)(*args, **kwargs)
        return pieces if self._reading else self._acopied(pieces)

    async def _acopied(self, pieces: AsyncIterator[Any]) -> AsyncIterator[Any]:
        with self._whole():
            async for piece in pieces:
                with self._handing(piece):
                    yield piece

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Read the body to its end, or to the piece after which the bot stops."""
        self._reading += 1
        try:
            yield
        finally:
            self._reading -= 1
            self._finish()

    @contextmanager
    def _handing(self, piece: object) -> Iterator[None]:
        """Hand a piece to the bot, which may read on by another method meanwhile."""
        self._reading -= 1
        try:
            self._saw(piece)
            yield
        finally:
            self._reading += 1

    def _read(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if self._reading:
            return self._bare(name)(*args, **kwargs)
        with self._one_read():
            piece = self._bare(name)(*args, **kwargs)
        self._has_read(name, piece, args[0] if args else kwargs.get("amt"))
        return piece

    async def _aread(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if self._reading:
            return await self._bare(name)(*args, **kwargs)
        with self._one_read():
            piece = await self._bare(name)(*args, **kwargs)
        self._has_read(name, piece, args[0] if args else kwargs.get("amt"))
        return piece

    @contextmanager
    def _one_read(self) -> Iterator[None]:
        self._reading += 1
        try:
            yield
        except BaseException:
            self._finish()
            raise
        finally:
            self._reading -= 1

    def _has_read(self, name: str, piece: object, size: object) -> None:
        """Copy a piece, and finish after the last. Without a size `read` returns everything, and `read1` a piece."""
        self._saw(piece)
        if not piece or (size in (None, -1) and name != "read1"):
            self._finish()

    def _end(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if not self._reading:
            self._finish()
        return self._bare(name)(*args, **kwargs)

    async def _aend(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return await self._end(name, *args, **kwargs)

    def _saw(self, piece: object) -> None:
        """Keep a copy of a piece. A body that is too long for an answer to a send is not kept."""
        with self._pending.guard("clients"):
            content = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
            if isinstance(content, bytes):
                self._size += len(content)
                if self._size <= send_requests.MAX_BYTES:
                    self._pieces.append(content)
                else:
                    self._pieces.clear()

    def _finish(self) -> None:
        """Count the send, and leave the response as it was."""
        with self._pending.guard("clients"):
            if not self._size:
                self._saw(self._received(self.response))
        with self._pending.guard("clients"):
            self._gone.detach()
            attributes = vars(self.response)
            for name, ours in self._ours.items():
                if attributes.get(name) is ours:
                    del attributes[name]
                    if self._before[name] is not None:
                        attributes[name] = self._before[name]
            _count(self._pending, self._status, self._pieces)


class _Wrapped(functools.partial[Any]):
    """A wrapped method. A response that is pickled or copied deeply has its own method in its place."""

    def __reduce__(self) -> tuple[Any, ...]:
        name: str = self.args[0]
        method: Any = self.func
        return getattr, (method.__self__.response, name)


def _count(pending: Pending, status: int, pieces: list[bytes]) -> None:
    pending.finish(status, b"".join(pieces) or None)
