"""The bot of the benchmark over sockets: `BENCHMARK_SUBJECT=KIND uvicorn tests.benchmarks.socket_bot:app`.

It reads a webhook's JSON and answers 200, as the bot of the benchmark in one process does. With `BENCHMARK_NUMBERS=N`,
its store holds what months of so many business numbers leave, which is some 1,200 lines of `/metrics` each.
"""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette looks at a handler's annotations
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware, handle_metrics

import chatvitals
from tests.benchmarks import cells
from tests.benchmarks.traffic import NUMBER, SECRET

if TYPE_CHECKING:
    from typing import Final

KIND: Final = "BENCHMARK_SUBJECT"
NUMBERS: Final = "BENCHMARK_NUMBERS"


async def webhook(request: Request) -> Response:
    """Read a webhook as a bot does."""
    await request.json()
    return PlainTextResponse("ok")


def make(kind: str, numbers: int = 0) -> Starlette:
    """Return the bot.

    Args:
        kind: `bare`, `exporter`, or with chatvitals on the store whose URL this is.
        numbers: how many business numbers its store knows already.

    """
    routes = [Route("/webhook", webhook, methods=["POST"])]
    if kind == "exporter":
        bot = Starlette(routes=[*routes, Route("/metrics", handle_metrics)])
        bot.add_middleware(PrometheusMiddleware, app_name="benchmark", prefix="benchmark")
        return bot
    bot = Starlette(routes=routes)
    if kind != "bare":
        instrument(bot, kind, numbers)
    return bot


def instrument(bot: Starlette, store: str, numbers: int) -> None:
    """Add chatvitals to a bot whose store knows so many business numbers already. It is the bot's `state.vitals`."""
    ids = cells.numbers(numbers) or [NUMBER]
    vitals = bot.state.vitals = chatvitals.init(
        app_secret=SECRET, store=store, phone_number_id=ids, metrics_token="t", label_cap=500
    )
    cells.fill(vitals.store, numbers)
    vitals.instrument_app(bot, webhook_path="/webhook", metrics_path="/metrics")


app = make(os.environ.get(KIND, "bare"), int(os.environ.get(NUMBERS, "0")))
if KIND in os.environ:  # a full collection walks the objects of the start for 20 to 40 ms, whoever is measured
    gc.collect()
    gc.freeze()
