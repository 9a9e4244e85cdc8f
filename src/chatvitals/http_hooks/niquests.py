"""Sends through niquests: `send` of its sessions, like in requests. It never waits for a late answer.

A streamed answer counts by its status, because some of its responses are read by coroutines and some are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from chatvitals.http_hooks import requests

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Keywords


def _answered(pending: Pending, client: Any, response: Any, kwargs: Keywords) -> None:
    if getattr(response, "lazy", False):  # multiplexed: any access would wait for the answer
        pending.finish(200, None)
        return
    streams = kwargs.get("stream", client.stream)
    pending.finish(response.status_code, None if streams else response.content)


METHODS = tuple(
    replace(
        requests.METHODS[0], module="niquests", owner=owner, asynchronous=owner == "AsyncSession", answered=_answered
    )
    for owner in ("Session", "AsyncSession")
)
