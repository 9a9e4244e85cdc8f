"""Sends through niquests: `send` of its sessions, like in requests. It never waits for a late answer.

A streamed answer is read through a response of urllib3-future, which coroutines read in an asynchronous session.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatvitals.http_hooks import requests, urllib3
from chatvitals.http_hooks.late_answers import LateAnswer

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Keywords


def _answered(pending: Pending, client: Any, response: Any, kwargs: Keywords) -> None:
    if getattr(response, "lazy", False):  # multiplexed: any access would wait for the answer
        pending.finish(200, None)
        return
    if not kwargs.get("stream", client.stream):
        pending.finish(response.status_code, response.content)
        return
    raw = response.raw
    ways = urllib3.ASYNC_WAYS if inspect.iscoroutinefunction(getattr(raw, "read", None)) else urllib3.WAYS
    LateAnswer(pending, raw, response.status_code, ways)


METHODS = tuple(
    replace(
        requests.METHODS[0], module="niquests", owner=owner, asynchronous=owner == "AsyncSession", answered=_answered
    )
    for owner in ("Session", "AsyncSession")
)
