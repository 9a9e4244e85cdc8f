"""Sends through httpx and httpx2: `send` of both clients, which includes auth, redirects and the read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks.late_answers import LateAnswer, Ways
from chatvitals.http_hooks.patching import Method

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


_WAYS = Ways(("close", "aclose"), ("iter_bytes",), ("aiter_bytes",))


def _request(args: Arguments, kwargs: Keywords) -> Any:
    return args[0] if args else kwargs.get("request")


def _address(_client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    request = _request(args, kwargs)
    return getattr(request, "method", None), getattr(getattr(request, "url", None), "path", None)


def _body(_client: Any, args: Arguments, kwargs: Keywords) -> object:
    request = _request(args, kwargs)
    try:
        return request.content
    except Exception:  # noqa: BLE001 - a stream, a generator or a file raises RequestNotRead and stays unread
        return getattr(getattr(request, "stream", None), "_stream", None)  # a multipart body has none


def _answered(pending: Pending, _client: Any, response: Any, kwargs: Keywords) -> None:
    content = getattr(response, "_content", None)  # set once the body has been read, also by an event hook of the bot
    if isinstance(content, bytes) or not kwargs.get("stream"):
        pending.finish(response.status_code, response.content)
        return
    LateAnswer(pending, response, response.status_code, _WAYS)


METHODS = tuple(
    Method(module, owner, "send", owner == "AsyncClient", _address, _body, _answered)
    for module in ("httpx", "httpx2")
    for owner in ("Client", "AsyncClient")
)
