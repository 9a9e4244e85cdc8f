"""Fixtures of every test: a clock that stands still, the swallowed errors, two ways to drive an ASGI app."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from chatvitals import http_hooks
from chatvitals.events import Webhook
from chatvitals.pipeline.raw_webhook import RawWebhook
from chatvitals.pipeline.webhook_sink import WebhookSink
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings
from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber, Person
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from chatvitals.whatsapp import signatures
from tests.helpers import services
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from chatvitals.events import PersonEvent
    from chatvitals.exporters.metrics_app import MetricsRequest
    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.stores.base import Store
    from tests.helpers.healthy_bot import Patient
    from tests.helpers.redis_servers import RedisServer
    from tests.helpers.tracing import Traced

SECRET = "the-app-secret"


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a parent such as `nohup pytest &` has set it so
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile(  # the machine of CI is shared, so that nothing may depend on its speed
    "full", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("desk", hypothesis.settings.get_profile("full"), max_examples=20)
hypothesis.settings.load_profile("full")

FAST_FOLDERS = {"unit", "scenarios", "typing"}
SLOW_FOLDERS = {"integration", "safety"}


def pytest_configure(config: pytest.Config) -> None:
    """With `-m fast`, try a fifth of the random examples, unless `--hypothesis-profile` names a profile."""
    if config.option.markexpr == "fast" and config.getoption("--hypothesis-profile") is None:
        hypothesis.settings.load_profile("desk")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m fast`, leave out the folders that hold no fast tests. The import of their modules takes seconds."""
    if config.option.markexpr != "fast":
        return None
    folder, *_ = (*collection_path.relative_to(Path(__file__).parent).parts, "")
    return True if folder in SLOW_FOLDERS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests as fast that lie in a fast folder, need no Redis and are not marked as slow."""
    tests = len(Path(__file__).parent.parts)
    for item in items:
        folder = item.path.parts[tests]
        parameters = getattr(item, "callspec", None)
        redis = parameters is not None and "redis" in map(str, parameters.params.values())
        names = set(getattr(item, "fixturenames", ()))
        server = redis or not names.isdisjoint({"redis_server", "redis_url", "patient"})
        if folder in FAST_FOLDERS and not server and not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.fast)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let `require` refuse other programs in fast tests."""
    services.in_fast_test = item.get_closest_marker("fast") is not None


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still at a Unix second until the test moves it."""
    return FakeClock(1_700_000_000.0)


@pytest.fixture
def ear(clock: FakeClock) -> Iterator[Ear]:
    """An observer of sends, not yet installed. It is removed at the end."""
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)


@pytest.fixture
def watching(ear: Ear) -> Ear:
    """An observer of all clients of this process."""
    http_hooks.install(ear)
    return ear


class Swallowed:
    """The errors that guards kept from the bot during one test, as (place, error)."""

    def __init__(self) -> None:
        self.errors: list[tuple[str, Exception]] = []

    def record(self, where: str, error: Exception) -> None:
        """Note an error. A guard calls this."""
        self.errors.append((where, error))

    def take(self, where: str) -> list[Exception]:
        """Return the errors of one place and forget them: the test expected them."""
        taken = [error for place, error in self.errors if place == where]
        self.errors = [(place, error) for place, error in self.errors if place != where]
        return taken


@pytest.fixture(autouse=True)
def swallowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Swallowed]:
    """Fail the test for every error that a guard swallowed, unless the test took or heard it.

    "Never break the bot" would otherwise hide our bugs from our tests.
    """
    ear = Swallowed()
    make = ErrorGuard.__init__

    def listening(guard: ErrorGuard, on_error: Callable[[str, Exception], None] | None = None) -> None:
        make(guard, on_error or ear.record)

    monkeypatch.setattr(ErrorGuard, "__init__", listening)
    yield ear
    for _, error in ear.errors[:1]:
        raise AssertionError(f"guards swallowed {ear.errors}: expect them with swallowed.take(where)") from error


class RecordingSink(WebhookSink):
    """A sink that also keeps what doors handed in."""

    def __init__(self, settings: Settings, emitted: list[Webhook | PersonEvent]) -> None:
        def put(event: Queued) -> None:
            emitted.append(event.webhook if isinstance(event, RawWebhook) else event)  # type: ignore[arg-type]

        super().__init__(settings, ErrorGuard(), FakeClock(1_700_000_000.0), put)
        self.read: list[tuple[bytes, str | None]] = []

    def receive(self, body: bytes, signature: str | None) -> RawWebhook:
        """Take in a webhook and note its body and signature."""
        self.read.append((body, signature))
        return super().receive(body, signature)


class DoorVitals:
    """The part of `Vitals` that a door sees, with a list in place of the pipeline."""

    def __init__(self, **settings: Any) -> None:
        self.emitted: list[Webhook | PersonEvent] = []
        self.webhook_sink = RecordingSink(Settings.load(settings, environ={}), self.emitted)

    @property
    def read(self) -> list[tuple[bytes, str | None]]:
        """The bodies that were taken in, with their signatures."""
        return self.webhook_sink.read

    @property
    def results(self) -> list[str]:
        """The results of the webhooks that were emitted."""
        return [event.result for event in self.emitted if isinstance(event, Webhook)]

    def settle(self, timeout: float = 5.0) -> None:
        """Commit nothing, since there is no store."""

    def metrics_app(self) -> ASGIApp:
        """Serve one line."""

        async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"up 1\n"})

        return metrics

    def metrics_response(self, request: MetricsRequest) -> tuple[int, dict[str, str], bytes]:
        """Answer one line."""
        return 200, {"Content-Type": "text/plain"}, b"up 1\n"


@pytest.fixture
def door() -> type[DoorVitals]:
    """The stand-in for `Vitals` as doors see it. Its keywords are settings."""
    return DoorVitals


def sign(body: bytes, secret: str = SECRET) -> str:
    """Return the value of `X-Hub-Signature-256` for `body`."""
    return signatures.sign(body, secret)


def webhook_body(phone: str, message_id: str) -> bytes:
    """Return the body of a webhook with one text message."""
    content = {"type": "text", "text": {"body": "hello"}}
    text = payloads.message(Person("", phone), message_id, content, at=1_700_000_000)
    return payloads.webhook(BusinessNumber("1", "9", "15550001234"), [text])


@dataclass
class Exchange:
    """The actions of an application in one connection."""

    sent: list[Message] = field(default_factory=list)
    received: list[Message] = field(default_factory=list)
    error: BaseException | None = None


class AsgiDriver:
    """Drives ASGI applications by hand."""

    secret = SECRET
    body = webhook_body("393331234567", "wamid.1")

    sign = staticmethod(sign)

    def scope(self, *headers: tuple[bytes, bytes], **more: Any) -> Scope:
        """Return the scope of a POST to `/webhook`. Keywords replace or add keys."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/webhook",
            "raw_path": b"/webhook",
            "query_string": b"",
            "root_path": "",
            "headers": list(headers),
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8000),
        } | more

    def signed(self, body: bytes | None = None, **more: Any) -> Scope:
        """Return the scope of a POST to `/webhook` whose signature fits `body`."""
        signature = sign(self.body if body is None else body).encode()
        return self.scope((b"x-hub-signature-256", signature), **more)

    async def acall(
        self,
        app: ASGIApp,
        scope: Scope | None = None,
        messages: list[Message] | None = None,
        on_send: Callable[[Message], None] | None = None,
    ) -> Exchange:
        """Call `app` with messages that it may receive, after which the client has gone."""
        exchange = Exchange()
        left = list([self.chunk(self.body)] if messages is None else messages)

        async def receive() -> Message:
            message = left.pop(0) if left else {"type": "http.disconnect"}
            exchange.received.append(message)
            return message

        async def send(message: Message) -> None:
            exchange.sent.append(message)
            if on_send is not None:
                on_send(message)

        try:
            await app(self.scope() if scope is None else scope, receive, send)
        except BaseException as error:  # noqa: BLE001 - whatever comes out is what the test looks at
            exchange.error = error
        return exchange

    def call(
        self,
        app: ASGIApp,
        scope: Scope | None = None,
        messages: list[Message] | None = None,
        on_send: Callable[[Message], None] | None = None,
    ) -> Exchange:
        """As `acall`, with an event loop of its own."""
        return asyncio.run(self.acall(app, scope, messages, on_send))

    @staticmethod
    def chunk(body: bytes, *, more: bool = False) -> Message:
        """Return a piece of a request's body."""
        return {"type": "http.request", "body": body, "more_body": more}

    @staticmethod
    def bot(status: int = 200, *, before: Callable[[bytes], Awaitable[None] | None] | None = None) -> ASGIApp:
        """Return a bot that reads the whole body, calls `before` with it and answers."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            body, more = b"", True
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
            if before is not None and (waiting := before(body)) is not None:
                await waiting
            await send({"type": "http.response.start", "status": status, "headers": [(b"x-read", b"%d" % len(body))]})
            await send({"type": "http.response.body", "body": b"ok"})

        return app


@pytest.fixture
def asgi() -> AsgiDriver:
    """A driver of ASGI applications, with builders of scopes, messages and bots."""
    return AsgiDriver()


@pytest.fixture
def serve() -> Iterator[Callable[[ASGIApp], int]]:
    """Serve an ASGI application with uvicorn on loopback until the test ends. Gives its port."""
    from tests.helpers.asgi_server import serving  # noqa: PLC0415 - most tests need no server

    with serving() as start:
        yield start


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Traced:
    """A tracer provider of this test alone."""
    from chatvitals.runtime import spans  # noqa: PLC0415 - most tests trace nothing
    from tests.helpers.tracing import Traced  # noqa: PLC0415

    made = Traced()
    monkeypatch.setattr(spans, "_tracer", made.provider.get_tracer("chatvitals"))
    return made


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server for all tests of a session. Each uses a prefix of its own."""
    from tests.helpers.redis_servers import RedisServer  # noqa: PLC0415 - most tests need no server

    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of the kind that the test's `indirect` parameter names."""
    return _url_of(request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store. The test runs once on each kind."""
    with closing(open_store(_url_of(request, tmp_path))) as opened:
        yield opened


def _url_of(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "redis":
        url: str = request.getfixturevalue("redis_url")
        return url
    return "memory:" if request.param == "memory" else f"sqlite:///{folder / 'store.db'}"


@pytest.fixture
def redis_url(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store on a Redis server. Every answer is waited for: a busy machine is no slow Redis."""
    from chatvitals.stores.timeouts import LookupDeadline  # noqa: PLC0415 - most tests need no server

    monkeypatch.setattr("chatvitals.stores.redis.LookupDeadline", partial(LookupDeadline, 600.0))
    for limit in ("mistakes._PATIENCE", "redis_connection._CONNECT_SECONDS", "redis_connection._COMMAND_SECONDS"):
        monkeypatch.setattr(f"chatvitals.stores.{limit}", 600.0)
    return redis_server.fresh_url()


@pytest.fixture
def patient(
    tmp_path: Path,
    serve: Callable[[ASGIApp], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Patient]:
    """A bot, its store and a stand-in for WhatsApp, in which `chatvitals doctor` finds nothing wrong."""
    from tests.helpers.healthy_bot import Patient  # noqa: PLC0415 - most tests need no bot

    for name in [name for name in os.environ if name.startswith("CHATVITALS_")]:
        monkeypatch.delenv(name)
    with closing(Patient(tmp_path, serve, monkeypatch)) as well:
        well.listen(capsys)
        well.receive()
        yield well


@pytest.fixture
def start() -> Iterator[Callable[..., Vitals]]:
    """Start a `Vitals` without a thread, on a clock that stands still. Keywords are settings."""
    started: list[Vitals] = []

    def make(**settings: Any) -> Vitals:
        loaded = Settings.load({"store": "memory:", "hooks": False, **settings}, environ={})
        started.append(Vitals(loaded, clock=FakeClock(1_795_392_000.0), background=False))
        return started[-1]

    yield make
    for vitals in started:
        vitals.close()
