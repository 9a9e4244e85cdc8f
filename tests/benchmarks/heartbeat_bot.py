"""The bot of `tests.benchmarks.scrapes`: it measures how long its event loop comes to nothing else.

`BENCHMARK_SUBJECT=STORE BENCHMARK_NUMBERS=N uvicorn tests.benchmarks.heartbeat_bot:app` serves `/gap`: the longest
delay between two beats of a millisecond since the last question, and the part of it that this process itself computed.
"""

from __future__ import annotations

import asyncio
import gc
import os
from time import perf_counter, process_time

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette looks at a handler's annotations
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.benchmarks.socket_bot import KIND, NUMBERS, instrument, webhook

_BEAT = 0.001


class Heartbeat:
    """A task of the event loop that notes how late it gets its turns."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None
        self._longest = self._own = 0.0

    async def gap(self, _: Request) -> Response:
        """Return two delays in seconds: the longest one, and the longest one that is due to this process."""
        if self._task is None:
            gc.collect()
            gc.freeze()  # the first full collection of a bot's own objects comes with scrapes and without
            self._task = asyncio.create_task(self._beat())
        longest, own = self._longest, self._own
        self._longest = self._own = 0.0
        return PlainTextResponse(f"{longest} {own}")

    async def _beat(self) -> None:
        last, computed = perf_counter(), process_time()
        while True:
            await asyncio.sleep(_BEAT)
            now, spent = perf_counter(), process_time()
            late = now - last - _BEAT
            self._longest = max(self._longest, late)
            self._own = max(self._own, min(late, spent - computed))
            last, computed = now, spent


def make(kind: str, numbers: int) -> Starlette:
    """Return a bot whose store, given by its URL, holds the cells of so many business numbers."""
    bot = Starlette(routes=[Route("/webhook", webhook, methods=["POST"]), Route("/gap", Heartbeat().gap)])
    instrument(bot, kind, numbers)
    return bot


if KIND in os.environ:
    app = make(os.environ[KIND], int(os.environ[NUMBERS]))
