"""Sends through http.client, and through urllib.request, which uses it: `HTTPConnection.request`.

The answer comes later, from `getresponse`, and its body holds the message's id. Only the bot may read the body, so the
hook looks at the result of the bot's own `read()`. An answer that is closed unread counts by its status alone.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks.patching import Method

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


def _address(_client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    method = args[0] if args else kwargs.get("method")
    return method, args[1] if len(args) > 1 else kwargs.get("url")


def _body(_client: Any, args: Arguments, kwargs: Keywords) -> object:
    return args[2] if len(args) > 2 else kwargs.get("body")


def _answered(pending: Pending, client: Any, _response: Any, _kwargs: Keywords) -> None:
    _AnswerWatch(pending, client)


_MARK = "_chatvitals"  # the attribute of a response that holds its watch


class _AnswerWatch:
    """The wait for the answer on one connection. It ends as soon as the answer is there."""

    def __init__(self, pending: Pending, client: Any) -> None:
        self._pending = pending
        self._client = weakref.ref(client)  # an attribute of the connection must not keep the connection alive
        self._ours = self._getresponse
        vars(client)["getresponse"] = self._ours

    def _getresponse(self, *args: Any, **kwargs: Any) -> Any:
        client = self._client()
        if client is not None and vars(client).get("getresponse") == self._ours:
            del vars(client)["getresponse"]
        try:
            response = client.getresponse(*args, **kwargs)  # type: ignore[union-attr]  # its caller holds it
        except BaseException as error:
            self._pending.failed(error)
            raise
        with self._pending.guard("clients"):
            self._pending.answered()
            _BodyWatch(self._pending, response)
        return response


class _BodyWatch:
    """Observer of the bot's reads of one response, until its body has been read or closed."""

    __slots__ = ("_gone", "_kind", "_pending", "_pieces", "_status")

    def __init__(self, pending: Pending, response: Any) -> None:
        self._pending = pending
        self._status = response.status
        kind: Any = type(response)
        self._kind = kind
        self._pieces: list[bytes] = []
        self._gone = weakref.finalize(response, pending.finish, response.status, None)
        self._gone.atexit = False
        vars(response)[_MARK] = self
        # Not an attribute of the response, which would have to refer to the response and keep its connection open.
        response.__class__ = _watched(kind)

    def saw(self, response: Any, piece: bytes, *, whole: bool) -> None:
        """Record the data of a read."""
        with self._pending.guard("clients"):
            self._pieces.append(piece)
            if whole or not piece or response.isclosed():
                self.finish(response)

    def finish(self, response: Any) -> None:
        """Count the send, and leave the response as it was."""
        with self._pending.guard("clients"):
            self._gone.detach()
            if vars(response).pop(_MARK, None) is not None:
                response.__class__ = self._kind
            self._pending.finish(self._status, b"".join(self._pieces) or None)


@lru_cache(maxsize=16)
def _watched(kind: Any) -> Any:
    """Return a subclass of `kind` that observes reads."""

    def read(self: Any, *args: Any, **kwargs: Any) -> Any:
        piece = kind.read(self, *args, **kwargs)
        watch = vars(self).get(_MARK)
        if watch is not None:
            watch.saw(self, piece, whole=not kwargs and (not args or args[0] is None))
        return piece

    def close(self: Any) -> Any:
        watch = vars(self).get(_MARK)
        if watch is not None:
            watch.finish(self)
        return kind.close(self)

    names = {"read": read, "close": close, "__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (kind,), names)


METHODS = (
    Method(
        "http.client", "HTTPConnection", "request", asynchronous=False, address=_address, body=_body, answered=_answered
    ),
)
