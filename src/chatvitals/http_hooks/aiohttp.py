"""Sends through aiohttp: `ClientSession._request`, which returns before the body of the answer has been read.

The body holds the message's id, and only the bot may read it. A read in the hook would empty `response.content`, move
errors and waits to another line of the bot, and release the connection early. So the hook only looks at data that is
there: the response's complete and untouched buffer, or the result of the bot's own `read()` (`json()` and `text()` call
it). A response that is released unread counts by its status alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from chatvitals.http_hooks import memory_bodies
from chatvitals.http_hooks.patching import Method
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords

_MAX_PEEK = 64 * 1024  # bytes; an answer to a send has a few hundred


def _address(client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    method = args[0] if args else kwargs.get("method")
    url = args[1] if len(args) > 1 else kwargs.get("str_or_url")
    path = url if isinstance(url, str) else getattr(url, "path", None)
    base = getattr(client, "_base_url", None)
    if base is not None and isinstance(path, str) and send_requests.is_endpoint(method, path):
        return method, urljoin(base.path, path)  # the number may be part of the session's base address
    return method, path


def _body(_client: Any, _args: Arguments, kwargs: Keywords) -> object:
    body = kwargs.get("json")
    return kwargs.get("data") if body is None else body


def _content(body: Any) -> object:
    """Return the content of a body. Forms and payloads are consumed only when they are written."""
    known = memory_bodies.content(body)
    if known is not None:
        return known
    if isinstance(body, Mapping):
        return dict(body)
    fields = getattr(body, "_fields", None)  # of a FormData
    if isinstance(fields, list):
        return {options.get("name"): value for options, _, value in fields if isinstance(value, str)}
    if isinstance(body, (list, tuple)):  # a form as pairs
        return {pair[0]: pair[1] for pair in body if isinstance(pair, (list, tuple)) and len(pair) == 2}
    if hasattr(body, "_parts"):  # a multipart body, which is no send
        return b""
    return memory_bodies.content(getattr(body, "_value", None))  # of a payload, such as JsonPayload


def _answered(pending: Pending, _client: Any, response: Any, _kwargs: Keywords) -> None:
    pending.answered()
    if response.content.is_eof():
        pending.finish(response.status, _untouched(response.content))
    else:
        _BodyWatch(pending, response)


class _BodyWatch:
    """The wait for the body of one response. It ends as soon as the body is known.

    It wraps `read`, `release` and `close` of this one object. The stream's own callback reports a body that ends
    without a read. The watch holds the response weakly, so that a response that the bot drops unread is freed as
    usual. It then counts by its status.
    """

    def __init__(self, pending: Pending, response: Any) -> None:
        self._pending = pending
        self._status = response.status
        self._before = {name: vars(response).get(name) for name in ("read", "release", "close")}
        self._ours = {"read": self._read, "release": self._release, "close": self._close}
        self._reading = False
        self._response = weakref.ref(response)
        self._gone = weakref.finalize(response, self._finish, None)
        self._gone.atexit = False
        vars(response).update(self._ours)
        response.content.on_eof(self._ended)

    async def _read(self) -> Any:
        self._reading = True
        try:
            body = await self._bare("read")()
        except BaseException:
            self._finish(None)
            raise
        self._finish(body)
        return body

    def _release(self) -> Any:
        self._finish(self._peek())
        return self._bare("release")()

    def _close(self) -> Any:
        self._finish(self._peek())
        return self._bare("close")()

    def _bare(self, name: str) -> Any:
        """Return the response's own `name` without our wrapper. The caller holds the response."""
        before = self._before[name]
        response = self._response()
        return getattr(type(response), name).__get__(response) if before is None else before

    def _ended(self) -> None:
        body = self._peek()
        if body is not None or not self._reading:  # otherwise `_read` is about to get it
            self._finish(body)

    def _peek(self) -> bytes | None:
        with self._pending.guard("clients"):
            response = self._response()
            return None if response is None else _untouched(response.content)
        return None

    def _finish(self, body: bytes | None) -> None:
        self._gone.detach()
        with self._pending.guard("clients"):
            response = self._response()
            attributes = {} if response is None else vars(response)
            for name, ours in self._ours.items():
                if attributes.get(name) == ours:
                    del attributes[name]
            self._pending.finish(self._status, body)


def _untouched(content: Any) -> bytes | None:
    """Return the whole body if it is complete in the stream's buffer, without consuming it, else None."""
    buffer = getattr(content, "_buffer", None)
    if buffer is None or not content.is_eof() or not 0 < content.total_bytes <= _MAX_PEEK:
        return None
    body = b"".join(buffer)
    return body if len(body) == content.total_bytes and not getattr(content, "_buffer_offset", 0) else None


METHODS = (
    Method(
        "aiohttp",
        "ClientSession",
        "_request",
        asynchronous=True,
        address=_address,
        body=_body,
        answered=_answered,
        content=_content,
    ),
)
