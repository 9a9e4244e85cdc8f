"""Sends through http.client, and through urllib.request, which uses it: `HTTPConnection.request`.

The answer comes later, from `getresponse`, and its body holds the message's id. Only the bot may read the body, so the
hook looks at the results of the bot's own reads, whichever method it calls. An answer that is closed unread counts by
its status alone.

Connection and response get a subclass for this time. An attribute would have to refer to its object, and a connection
that the bot drops would then stay open until the garbage collector comes.
"""

from __future__ import annotations

import weakref
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks.patching import Method
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


def _address(_client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    method = args[0] if args else kwargs.get("method")
    return method, args[1] if len(args) > 1 else kwargs.get("url")


def _body(_client: Any, args: Arguments, kwargs: Keywords) -> object:
    return args[2] if len(args) > 2 else kwargs.get("body")


def _answered(pending: Pending, client: Any, _response: Any, _kwargs: Keywords) -> None:
    if vars(client).get(_MARK) is None:
        kind: Any = type(client)
        client.__class__ = _awaited(kind)
    vars(client)[_MARK] = pending


_READS = ("read", "read1", "readline", "readinto", "peek")  # lines and iteration come from `readline`
_PACKINGS = frozenset({"gzip", "x-gzip", "deflate"})
_MARK = "_chatvitals"  # the attribute of a connection that holds its send, and of a response that holds its watch


class _BodyWatch:
    """Observer of the bot's reads of one response, until its body has been read or closed."""

    __slots__ = ("_ahead", "_gone", "_kind", "_packed", "_pending", "_pieces", "_size", "_status", "is_reading")

    def __init__(self, pending: Pending, response: Any) -> None:
        self._pending = pending
        self._status = response.status
        kind: Any = type(response)
        self._kind = kind
        self._pieces: list[bytes] = []
        self._size = 0  # bytes that were read
        self._ahead = b""  # the whole content, as far as the bot looked ahead
        self.is_reading = False
        """Whether one of the bot's reads is under way. Some methods read by another method."""
        self._packed = str(response.headers.get("Content-Encoding")).strip().lower() in _PACKINGS
        self._gone = weakref.finalize(response, _count, pending, response.status, self._pieces, packed=self._packed)
        self._gone.atexit = False
        vars(response)[_MARK] = self
        response.__class__ = _watched(kind)

    def saw(self, response: Any, name: str, result: Any, given: Any) -> None:
        """Record the data that a method returned, or wrote into the given buffer."""
        with self._pending.guard("clients"):
            piece = memoryview(given).cast("B")[:result] if name == "readinto" else result
            if name == "peek":
                self._ahead = b"".join((*self._pieces, piece))[: send_requests.MAX_BYTES]
                return
            self._size += len(piece)
            if self._size > send_requests.MAX_BYTES:
                self._pieces.clear()
                self.finish(response)
                return
            if piece:
                self._pieces.append(bytes(piece))
            if response.isclosed() or response.length == 0:
                self.finish(response)

    def finish(self, response: Any) -> None:
        """Count the send, and leave the response as it was."""
        with self._pending.guard("clients"):
            self._gone.detach()
            if vars(response).pop(_MARK, None) is not None:
                response.__class__ = self._kind
            if self._size < len(self._ahead):
                self._pieces[:] = [self._ahead]
            _count(self._pending, self._status, self._pieces, packed=self._packed)


def _count(pending: Pending, status: int, pieces: list[bytes], *, packed: bool) -> None:
    with pending.guard("clients"):
        body = b"".join(pieces)
        pending.finish(status, (send_requests.unpacked(body) if packed else body) or None)


@lru_cache(maxsize=16)
def _awaited(kind: Any) -> Any:
    """Return a subclass of a connection's class that passes the next answer to its send."""

    @wraps(kind.getresponse)
    def getresponse(self: Any, *args: Any, **kwargs: Any) -> Any:
        pending: Pending | None = vars(self).pop(_MARK, None)
        if pending is None:
            return kind.getresponse(self, *args, **kwargs)
        self.__class__ = kind
        try:
            response = kind.getresponse(self, *args, **kwargs)
        except BaseException as error:
            pending.failed(error)
            raise
        with pending.guard("clients"):
            pending.answered()
            _BodyWatch(pending, response)
        return response

    return _derived(kind, {"getresponse": getresponse})


@lru_cache(maxsize=16)
def _watched(kind: Any) -> Any:
    """Return a subclass of a response's class that observes reads."""

    def close(self: Any) -> Any:
        watch = vars(self).get(_MARK)
        if watch is not None:
            watch.finish(self)
        return kind.close(self)

    return _derived(kind, {"close": close, **{name: _observed(kind, name) for name in _READS}})


def _derived(kind: Any, methods: dict[str, Any]) -> Any:
    """Return a subclass of `kind` that has its name."""
    return type(kind.__name__, (kind,), {**methods, "__module__": kind.__module__, "__qualname__": kind.__qualname__})


def _observed(kind: Any, name: str) -> Any:
    """Return the method of a response that passes its data to the watch. Result and exception are those of `kind`."""

    @wraps(getattr(kind, name))
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        bare = getattr(kind, name)
        watch = vars(self).get(_MARK)
        if watch is None or watch.is_reading:
            return bare(self, *args, **kwargs)
        watch.is_reading = True
        try:
            result = bare(self, *args, **kwargs)
        finally:
            watch.is_reading = False
        watch.saw(self, name, result, args[0] if args else kwargs.get("b"))
        return result

    return method


METHODS = (
    Method(
        "http.client", "HTTPConnection", "request", asynchronous=False, address=_address, body=_body, answered=_answered
    ),
)
