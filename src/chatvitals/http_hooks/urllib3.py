"""Sends through urllib3: `urlopen` of pools and of their manager, which follows redirects.

requests uses a pool, and a manager uses pools. Each such send is counted once.

urllib3-future adds an asynchronous pool. It takes the place of urllib3, or stands beside it under its own name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatvitals.http_hooks.late_answers import LateAnswer, Ways
from chatvitals.http_hooks.patching import Method

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


WAYS = Ways(("close", "release_conn"), ("stream", "read_chunked"), reads=("read", "read1"))
ASYNC_WAYS = Ways(
    ("release_conn",),
    async_ends=("close",),
    async_iterators=("stream", "read_chunked"),
    async_reads=("read", "read1"),
)


def _address(_client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    method = args[0] if args else kwargs.get("method")
    return method, args[1] if len(args) > 1 else kwargs.get("url")


def _body(_client: Any, args: Arguments, kwargs: Keywords) -> object:
    return args[2] if len(args) > 2 else kwargs.get("body")


def _body_of_manager(_client: Any, _args: Arguments, kwargs: Keywords) -> object:
    return kwargs.get("body")


def _answered(pending: Pending, _client: Any, response: Any, _kwargs: Keywords, *, ways: Ways = WAYS) -> None:
    status = getattr(response, "status", None)
    if status is None:  # multiplexed by urllib3-future: a promise, whose answer the bot gets later
        pending.finish(200, None)
        return
    body = getattr(response, "_body", None)  # set only where the body was read in advance, which is the default
    if isinstance(body, bytes) or not isinstance(status, int):
        pending.finish(status, body if isinstance(body, bytes) else None)
        return
    LateAnswer(pending, response, status, ways)


def _answered_async(pending: Pending, client: Any, response: Any, kwargs: Keywords) -> None:
    _answered(pending, client, response, kwargs, ways=ASYNC_WAYS)


_POOL = Method(
    "connectionpool",
    "HTTPConnectionPool",
    "urlopen",
    asynchronous=False,
    address=_address,
    body=_body,
    answered=_answered,
)
_MANAGER = replace(_POOL, module="poolmanager", owner="PoolManager", body=_body_of_manager)
METHODS = tuple(
    replace(
        method,
        module=f"{package}._async.{method.module}" if asynchronous else f"{package}.{method.module}",
        owner=f"Async{method.owner}" if asynchronous else method.owner,
        asynchronous=asynchronous,
        answered=_answered_async if asynchronous else _answered,
    )
    for package in ("urllib3", "urllib3_future")
    for asynchronous in (False, True)
    for method in (_MANAGER, _POOL)
)
