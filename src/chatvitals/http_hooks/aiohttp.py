"""Sends through aiohttp: `ClientSession._request`, which returns before the body of the answer has been read.

The body holds the message's id, and only the bot may read it. A read in the hook would empty `response.content`, move
errors and waits to another line of the bot, and release the connection early. So the hook only looks at data that is
there: the response's complete and untouched buffer, or the result of the bot's own `read()` (`json()` and `text()` call
it). The stream reports a body that ends without a read. A response that is released unread counts by its status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from chatvitals.http_hooks import memory_bodies
from chatvitals.http_hooks.late_answers import LateAnswer, Ways
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
    if response.content.is_eof():
        pending.finish(response.status, _untouched(response))
        return
    late = LateAnswer(pending, response, response.status, _WAYS)
    response.content.on_eof(late.is_over)


def _untouched(response: Any) -> bytes | None:
    """Return the whole body if it is complete in the stream's buffer, without consuming it, else None."""
    content = response.content
    buffer = getattr(content, "_buffer", None)
    if buffer is None or not content.is_eof() or not 0 < content.total_bytes <= _MAX_PEEK:
        return None
    body = b"".join(buffer)
    return body if len(body) == content.total_bytes and not getattr(content, "_buffer_offset", 0) else None


_WAYS = Ways(("release", "close"), async_reads=("read",), received=_untouched)
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
