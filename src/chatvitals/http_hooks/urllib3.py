"""Sends through urllib3: `HTTPConnectionPool.urlopen`. Sends of requests, which uses it, are counted once."""

from __future__ import annotations

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


def _answered(pending: Pending, _client: Any, response: Any, _kwargs: Keywords) -> None:
    status = getattr(response, "status", None)
    if status is None:  # multiplexed by urllib3-future: a promise, whose answer the bot gets later
        status = 200
    body = getattr(response, "_body", None)  # set only where the body was read in advance, which is the default
    pending.finish(status, body if isinstance(body, bytes) else None)


METHODS = (
    Method(
        "urllib3.connectionpool",
        "HTTPConnectionPool",
        "urlopen",
        asynchronous=False,
        address=_address,
        body=_body,
        answered=_answered,
    ),
)
