"""Sends through http.client, and through urllib.request, which uses it: `HTTPConnection.request`.

The answer comes later, from `getresponse`, and its body holds the message's id. The body is the bot's to read, or
not: we look at what the bot's own `read()` returns. An answer that is closed unread counts by its status alone.
"""

from __future__ import annotations

import weakref
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


class _AnswerWatch:
    """Waits for the answer on one connection; it leaves the connection as soon as it is there."""

    def __init__(self, pending: Pending, client: Any) -> None:
        self._pending = pending
        self._client = weakref.ref(client)  # what is kept by its own attribute must not keep the connection
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
    """Stands before `read` and `close` of one response, until the body has been read whole."""

    def __init__(self, pending: Pending, response: Any) -> None:
        self._pending = pending
        self._status = response.status
        self._pieces: list[bytes] = []
        self._response = weakref.ref(response)
        self._gone = weakref.finalize(response, pending.finish, response.status, None)
        self._gone.atexit = False
        self._ours = {"read": self._read, "close": self._close}
        vars(response).update(self._ours)

    def _read(self, *args: Any, **kwargs: Any) -> Any:
        response: Any = self._response()
        piece = type(response).read(response, *args, **kwargs)
        with self._pending.guard("clients"):
            self._pieces.append(piece)
            if not piece or not args or args[0] is None or response.isclosed():
                self._finish(b"".join(self._pieces))
        return piece

    def _close(self) -> Any:
        response = self._response()
        self._finish(b"".join(self._pieces) or None)
        return None if response is None else type(response).close(response)

    def _finish(self, body: bytes | None) -> None:
        with self._pending.guard("clients"):
            self._gone.detach()
            response = self._response()
            attributes = {} if response is None else vars(response)
            for name, ours in self._ours.items():
                if attributes.get(name) == ours:
                    del attributes[name]
            self._pending.finish(self._status, body)


METHODS = (
    Method(
        "http.client", "HTTPConnection", "request", asynchronous=False, address=_address, body=_body, answered=_answered
    ),
)
