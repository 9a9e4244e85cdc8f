"""A bot that polls ratings, on plain ASGI. Its store shows whether it was closed: the poller gives its lease back.

`/held` answers whether the poller of this process has the lease.
"""

from __future__ import annotations

import os
from typing import Any

import chatvitals
from tests.helpers.waiting import unhurried

WABA = os.environ["BOT_WABA"]


async def bot(scope: Any, receive: Any, send: Any) -> None:
    """Answer requests, with and without a lifespan."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    await send({"type": "http.response.body", "body": b"%d" % holds_lease()})


def holds_lease() -> bool:
    """Return whether the poller of this process has the lease, and its first poll is over."""
    watch = vitals._poller._watches.get(WABA)
    return watch is not None and watch._schedule is not None and watch._schedule.kept.failures > 0


vitals: Any = chatvitals.init(store=os.environ["BOT_STORE"], hooks=False)
unhurried(vitals)
vitals.watch_quality(access_token="none", waba_ids=WABA, graph_url="http://127.0.0.1:9")
app = chatvitals.ChatVitalsMiddleware(bot, vitals)
