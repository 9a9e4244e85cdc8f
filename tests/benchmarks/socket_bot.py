"""The bot of the benchmark over sockets: `BENCHMARK_SUBJECT=KIND uvicorn tests.benchmarks.socket_bot:app`.

It reads a webhook's JSON and answers 200, as the bot of the benchmark in one process does.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette looks at a handler's annotations
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware, handle_metrics

import chatvitals
from tests.benchmarks.traffic import NUMBER, SECRET

if TYPE_CHECKING:
    from typing import Final

KIND: Final = "BENCHMARK_SUBJECT"


async def webhook(request: Request) -> Response:
    """Read a webhook as a bot does."""
    await request.json()
    return PlainTextResponse("ok")


def make(kind: str) -> Starlette:
    """Return the bot: `bare`, `exporter`, or with chatvitals on the store whose URL is given."""
    routes = [Route("/webhook", webhook, methods=["POST"])]
    if kind == "exporter":
        bot = Starlette(routes=[*routes, Route("/metrics", handle_metrics)])
        bot.add_middleware(PrometheusMiddleware, app_name="benchmark", prefix="benchmark")
        return bot
    bot = Starlette(routes=routes)
    if kind != "bare":
        vitals = chatvitals.init(app_secret=SECRET, store=kind, phone_number_id=NUMBER, metrics_token="t")
        vitals.instrument_app(bot, webhook_path="/webhook", metrics_path="/metrics")
    return bot


app = make(os.environ.get(KIND, "bare"))
