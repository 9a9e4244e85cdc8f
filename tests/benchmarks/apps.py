"""The applications that are compared, and how they are called: in one event loop, without sockets."""

from __future__ import annotations

from tempfile import mkdtemp
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette looks at a handler's annotations
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette_exporter import PrometheusMiddleware

from chatvitals.events import Send
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals
from tests.benchmarks.traffic import NUMBER, SECRET, Clock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from chatvitals.integrations.asgi import Message
    from tests.benchmarks.traffic import Delivery

BARE, EXPORTER, SQLITE, MEMORY = "bare Starlette", "starlette_exporter", "chatvitals, SQLite", "chatvitals, memory"


class Subject:
    """One of the applications under comparison, with its vitals where it has any."""

    def __init__(self, name: str, app: Starlette, vitals: Vitals | None = None, clock: Clock | None = None) -> None:
        self.name = name
        self.app = app
        self.vitals = vitals
        self.clock = clock or Clock()

    async def deliver(self, traffic: Iterable[Delivery | Send]) -> list[float]:
        """Deliver webhooks back to back. Return the seconds that each took."""
        seconds = []
        app, clock, vitals = self.app, self.clock, self.vitals
        for each in traffic:
            if isinstance(each, Send):
                if vitals is not None:
                    clock.now = each.received
                    vitals._emit(each)
                continue
            clock.now = each.at
            scope = dict(each.scope)
            receive = _Body(each.body)
            began = perf_counter()
            await app(scope, receive, _discard)
            seconds.append(perf_counter() - began)
        return seconds

    def catch_up(self, seconds: float = 0.0) -> None:
        """Have everything committed and applied that is due `seconds` from the last webhook on."""
        self.clock.now += seconds
        if self.vitals is not None:
            self.vitals.settle(60.0)

    def close(self) -> None:
        """Stop the vitals."""
        if self.vitals is not None:
            self.vitals.close()


def bare() -> Subject:
    """Return a bot that reads a webhook's JSON and answers 200."""
    return Subject(BARE, _bot())


def with_exporter() -> Subject:
    """Return the same bot with what many bots use already, an exporter of HTTP metrics."""
    app = _bot()
    app.add_middleware(PrometheusMiddleware, app_name="benchmark", prefix="benchmark")
    return Subject(EXPORTER, app)


def with_chatvitals(folder: Path | None = None, **settings: Any) -> Subject:
    """Return the same bot with chatvitals, signatures checked, on its thread as in production.

    Args:
        folder: where the SQLite store is made; without one the store is in memory.
        **settings: further ones.

    """
    # A store of its own for each: what others have written would be in its figures.
    store = "memory:" if folder is None else f"sqlite:///{mkdtemp(dir=folder)}/benchmark.db"
    given = {"app_secret": SECRET, "store": store, "phone_number_id": NUMBER, "queue_size": 1_000_000, **settings}
    clock = Clock()
    vitals = Vitals(Settings.load(given, environ={}), clock=clock, on_error=fail)
    app = _bot()
    vitals.instrument_app(app, webhook_path="/webhook")
    return Subject(MEMORY if folder is None else SQLITE, app, vitals, clock)


class _Body:
    """`receive` of a request whose body comes in one piece."""

    __slots__ = ("_message",)

    def __init__(self, body: bytes) -> None:
        self._message: Message = {"type": "http.request", "body": body, "more_body": False}

    async def __call__(self) -> Message:
        return self._message


async def _discard(_: Message) -> None:
    pass


def _bot() -> Starlette:
    async def webhook(request: Request) -> Response:
        await request.json()
        return PlainTextResponse("ok")

    async def health(_: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/webhook", webhook, methods=["POST"]), Route("/health", health)])


def fail(where: str, error: Exception) -> None:
    """Stop: an error was swallowed."""
    raise SystemExit(f"chatvitals swallowed an error in {where}, so these numbers mean nothing: {error!r}")
