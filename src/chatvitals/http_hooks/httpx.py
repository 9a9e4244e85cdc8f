"""Sends through httpx and httpx2: `send` of both clients, which includes auth, redirects and the read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks.patching import Method

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


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
    pending.finish(response.status_code, None if kwargs.get("stream") else response.content)


METHODS = tuple(
    Method(module, owner, "send", owner == "AsyncClient", _address, _body, _answered)
    for module in ("httpx", "httpx2")
    for owner in ("Client", "AsyncClient")
)
