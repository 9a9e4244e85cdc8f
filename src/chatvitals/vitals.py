"""`Vitals` wires settings, store, pipeline, doors and hooks together: the object that a bot's author holds."""

from __future__ import annotations

import atexit
import time
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from chatvitals import context, http_hooks
from chatvitals.events import Call, Reply
from chatvitals.exporters.leader_election import LeaderElection
from chatvitals.exporters.metrics_app import MetricsApp, MetricsRequest, respond
from chatvitals.exporters.prometheus import VitalsCollector
from chatvitals.integrations import apps, aws_lambda
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.pipeline.setup_advice import SetupAdvice
from chatvitals.pipeline.store_advice import StoreAdvice
from chatvitals.pipeline.webhook_sink import WebhookSink
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime import advice
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings, SettingsKeywords
from chatvitals.stores import open_store
from chatvitals.tracking import tagging, threads
from chatvitals.tracking.assignments import Assignments
from chatvitals.tracking.contact_lookup import ContactResolver
from chatvitals.tracking.declarations import Declarations
from chatvitals.tracking.observation import Headers, Observation, observe
from chatvitals.tracking.ordered_clock import MonotonicClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource

    from chatvitals.events import CallName, Poll
    from chatvitals.exporters.otlp_push import OtlpPush
    from chatvitals.graph_api.poller import Poller
    from chatvitals.integrations.wsgi import WSGIApp
    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import Experiment
    from chatvitals.tracking.journeys import Journey

    App = TypeVar("App")
    R = TypeVar("R")
    F = TypeVar("F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any])


def init(**settings: Unpack[SettingsKeywords]) -> Vitals:
    """Start measuring: read the settings, watch this process's HTTP clients, and return the `Vitals`.

    Call it once per process, before the bot sends anything:

        vitals = chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"])

    Args:
        **settings: see `Settings`; keywords win over `CHATVITALS_*` variables, which win over the defaults.

    Raises:
        SettingsError: a setting is unknown or its value is not allowed; nothing has been started then.

    """
    vitals = Vitals(Settings.load(settings))
    if vitals.settings.otlp:
        vitals.export_otlp()
    if not vitals.settings.app_secret:
        vitals.webhook_sink.advice.once(advice.UNPROTECTED)
    if vitals.settings.hooks:
        http_hooks.install(vitals._observer)
        vitals._undo_on_close(threads.install())
    atexit.register(vitals.close)
    vitals.webhook_sink.shown = vitals._shown
    vitals.webhook_sink.tell_start()
    return vitals


class Vitals(Declarations):
    """The vital signs of one bot. Create it with `chatvitals.init`; tests may give a clock and no thread.

    All methods may be called from any thread. None of those about messages raises or waits.

    Args:
        settings: checked settings.
        store: the store to use instead of the one that the settings name.
        clock: returns the time in Unix seconds.
        background: whether a daemon thread commits; without it, `settle` and each scrape do.
        on_error: called with place and exception of whatever was swallowed, for tests.

    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        background: bool = True,
        on_error: Callable[[str, Exception], None] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._guard = ErrorGuard(on_error)
        self.store = open_store(settings.store) if store is None else store
        self._pipeline = Pipeline(settings, self.store, self._guard, clock, background=background)
        self.webhook_sink = WebhookSink(settings, self._guard, clock, self._pipeline.put)
        """Where doors hand in webhooks: for integrations."""
        self._emit = self.webhook_sink.emit
        self.journeys: dict[str, Journey] = {}
        self.experiments: dict[str, Experiment] = {}
        self._moment = MonotonicClock(clock)
        leadership = LeaderElection(self.store, clock) if settings.expose == "leader" else None
        self.collector = VitalsCollector(settings, self.store, self._pipeline, self._guard, self.journeys, leadership)
        self.collector.reader.experiments = self.experiments
        if leadership is not None:
            self._pipeline.periodic_tasks.append(leadership.renew)
        self._pipeline.periodic_tasks.append(StoreAdvice(self.store, self._guard))
        if settings.hooks:  # a worker that gets no webhooks may import its HTTP client late, too
            self._pipeline.periodic_tasks.append(http_hooks.refresh)
            self.webhook_sink.before_receive.append(http_hooks.refresh)
        self._whose = ContactResolver(self._guard, self._default_number)
        self._assignments = Assignments(self.store, self._pipeline.hasher, settings.identity_key)
        self._observer = sends = http_hooks.SendObserver(self._emit, self._guard, clock, self._default_number)
        self._pipeline.periodic_tasks.append(SetupAdvice(self.webhook_sink, lambda: sends.seen, self.store))
        self._poller: Poller | None = None
        self._otlp: OtlpPush | None = None
        self._undo: list[Callable[[], None]] = []
        self._closed = False

    def __repr__(self) -> str:
        """Show the store, the hooked HTTP clients and how many webhooks this process has seen."""
        shown = " ".join(f"{name}={value}" for name, value in self._shown().items() if name != "poller")
        return f"<Vitals {shown} webhooks={self.webhook_sink.seen}>"

    def _shown(self) -> dict[str, str]:
        hooks = ",".join(http_hooks.hooked()) if self.settings.hooks else "off"
        store = type(self.store).__name__.removesuffix("Store")
        return {"store": store, "hooks": hooks or "none yet", "poller": "off" if self._poller is None else "on"}

    # Doors

    def instrument_app(self, app: App, *, webhook_path: str | None = None, metrics_path: str | None = None) -> App:
        """Watch the webhook of an application: see `chatvitals.integrations.apps.instrument_app`."""
        return apps.instrument_app(self, app, webhook_path=webhook_path, metrics_path=metrics_path)

    def instrument_wsgi(
        self, app: WSGIApp, *, webhook_path: str = "/webhook", metrics_path: str | None = None
    ) -> ChatVitalsWSGIMiddleware:
        """Return any WSGI application with its webhook watched: see `ChatVitalsWSGIMiddleware`."""
        return ChatVitalsWSGIMiddleware(app, self, webhook_path=webhook_path, metrics_path=metrics_path)

    def lambda_handler(self, function: Callable[[Any, Any], R]) -> Callable[[Any, Any], R]:
        """Watch the webhooks of an AWS Lambda function, as a decorator: see `chatvitals.integrations.aws_lambda`."""
        return aws_lambda.lambda_handler(self, function)

    def observe_webhook(self, body: bytes | str, headers: Headers | None = None) -> Observation:
        """Take in a webhook's raw body where no door fits; never raises.

        Use the result in a `with` statement around the handling of the webhook, so that replies and calls made there
        know whose message they are about. There, `reject()` says that the bot refuses it.

        Args:
            body: the bytes as they came; a parsed and re-serialised body fails the signature.
            headers: the request's headers, in any case and form; only `X-Hub-Signature-256` is read.

        """
        return observe(self.webhook_sink, body, headers)

    def metrics_app(self) -> MetricsApp:
        """Return an ASGI app that serves the metrics, as text or OpenMetrics, behind `metrics_token` if one is set."""
        return MetricsApp(self.collector, self._guard, self.settings.metrics_token)

    def metrics_response(self, request: MetricsRequest) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of an answer about the metrics, for servers that are not ASGI."""
        return respond(self.collector, self._guard, self.settings.metrics_token, request)

    # Replies

    def instrument_client(self, client: Any) -> Callable[[], None]:
        """Watch the sends of one HTTP client only; return a function that undoes it.

        Args:
            client: an `httpx.Client`, `httpx.AsyncClient`, `requests.Session` or `aiohttp.ClientSession`.

        Raises:
            TypeError: the client is of another kind.

        """
        undo = http_hooks.instrument_client(client, self._observer)
        self._undo.append(undo)
        return undo

    def sending(
        self, kind: Literal["reply", "campaign", "notice"] | None = None, actor: Literal["bot", "human"] | None = None
    ) -> AbstractContextManager[None]:
        """Say what the sends of a `with` block are: replies, campaigns or notices, a bot's or a person's.

        A notice ("one moment, please") answers nothing: the customer still waits. An unknown word counts as none.
        """
        return context.tagged(tagging.tag(self._guard, kind, actor))

    def record_reply(
        self,
        *,
        contact: str = "",
        phone_number_id: str = "",
        message_id: str = "",
        actor: Literal["bot", "human"] = "bot",
    ) -> None:
        """Tell of a reply that no hook can see, made now.

        Args:
            contact: phone or business-scoped user id; by default the contact whose message is being handled.
            phone_number_id: the business number; by default that of the context, else the first of the settings.
            message_id: the message's id where it is known, so that its statuses are known to be about it.
            actor: who replied.

        """
        with self._guard("record_reply"):
            person = self._whose.named("record_reply()", contact, phone_number_id)
            if person is not None:
                number, phone, user = person
                self._emit(
                    Reply(
                        phone_number_id=number,
                        wa_id=phone,
                        user_id=user,
                        received=self._moment(),
                        id=message_id,
                        actor=actor,
                    )
                )

    # What the code says about a conversation

    def handover(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Say that a person takes over; the clock for the first human reply starts. Once per conversation."""
        self._call("handover", contact, phone_number_id)

    def fallback(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Say that the bot did not understand the latest turn. Once per turn."""
        self._call("fallback", contact, phone_number_id)

    def dismiss(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the open turn needs no reply, such as after "thanks"."""
        self._call("dismiss", contact, phone_number_id)

    def resolve(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Say that the conversation is over: an open turn is dismissed, the next message starts another one."""
        self._call("resolve", contact, phone_number_id)

    # What WhatsApp thinks of the business

    def watch_quality(
        self,
        *,
        access_token: str | Mapping[str, str] | None = None,
        waba_ids: str | Sequence[str] | None = None,
        graph_url: str | None = None,
        api_version: str | None = None,
        every: float | None = None,
        hourly_calls: int | None = None,
    ) -> None:
        """Poll how WhatsApp rates numbers and templates, from a thread of its own; of all workers, one polls.

        It may be called several times, for several WABAs. What is not given comes from the settings of the same names
        (`poll_every` for `every`), and so from variables such as `CHATVITALS_ACCESS_TOKEN`.

        Args:
            access_token: a token with the permission whatsapp_business_management, or tokens by WABA id.
            waba_ids: ids of WhatsApp Business Accounts; with tokens by WABA id, these are the default.
            graph_url: where the Graph API is, without a version.
            api_version: such as `v26.0`, the default.
            every: seconds between two polls of a WABA, 300 by default; webhooks about quality bring one forward.
            hourly_calls: requests per WABA and hour at most, 100 by default; each poll takes two and more.

        Raises:
            SettingsError: a value is missing or not allowed; no message shows a token.
            ModuleNotFoundError: httpx is not installed, which the extra `graph` brings.

        """
        from chatvitals.graph_api import config  # noqa: PLC0415 - only who polls needs an HTTP client

        given = config.PollerOptions(access_token, waba_ids, graph_url, api_version, every, hourly_calls)
        targets = config.targets(given, self.settings)
        if self._poller is None:
            self._poller = config.poller(self.store, self._emit, self._guard, self.clock)
            self.webhook_sink.before_receive.append(self._poller.ensure)  # the server may have forked since
        for target in targets:
            self._poller.add(target)
        self.webhook_sink.tell_start()

    # OpenTelemetry

    def export_otlp(
        self,
        exporter: MetricExporter | None = None,
        *,
        interval: float = 60.0,
        resource: Resource | Mapping[str, Any] | None = None,
    ) -> None:
        """Push all metrics to an OpenTelemetry endpoint; of all workers, one pushes what they share.

        vitals.export_otlp()   # OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS and _PROTOCOL say where and how

        Args:
            exporter: any `MetricExporter`; by default OTLP over HTTP or gRPC.
            interval: seconds between two pushes, 1 to 3600.
            resource: attributes of the bot, beside those of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

        Raises:
            ModuleNotFoundError: the extra `otel` is not installed.
            TypeError: `exporter` is no `MetricExporter`.
            ValueError: the interval is not allowed, or metrics are pushed already.

        """
        from chatvitals.exporters.otlp_push import OtlpPush  # noqa: PLC0415 - only who pushes needs it

        if self._otlp is not None:
            raise ValueError("metrics are pushed already: call export_otlp() once, or set otlp=True, not both")
        self._otlp = OtlpPush(
            self.collector.reader,
            self.store,
            self._guard,
            self.clock,
            exporter=exporter,
            interval=interval,
            resource=resource,
        )
        self.webhook_sink.before_receive.append(self._otlp.ensure)  # the server may have forked since
        self._pipeline.periodic_tasks.append(self._otlp.ensure)
        self._otlp.ensure()

    # Running

    def record_poll(self, poll: Poll) -> None:
        """Tell what a poll of the Graph API found, for bots that poll by themselves.

        Args:
            poll: the rows as Meta sent them; without `received` it was made now.

        """
        with self._guard("record_poll"):
            if not poll.received:
                poll.received = self.clock()
            self._emit(poll)

    def settle(self, timeout: float = 5.0) -> None:
        """Have what was received committed, and applied as far as its settling window has passed.

        Args:
            timeout: seconds to wait at most; a scrape does the same with half a second.

        """
        self._pipeline.settle(timeout)

    def _undo_on_close(self, undo: Callable[[], None]) -> None:
        """Have `undo` called by `close`; integrations leave nothing behind that way."""
        self._undo.append(undo)

    def close(self) -> None:
        """Stop watching, commit what waits within 2 s, and end the thread; calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        http_hooks.remove(self._observer)
        for undo in self._undo:
            undo()
        if self._poller is not None:
            self._poller.close()
        self._pipeline.close()
        if self._otlp is not None:
            self._otlp.close()
        self.store.close()
        atexit.unregister(self.close)

    @property
    def _default_number(self) -> str:
        return self.settings.phone_number_id[0] if self.settings.phone_number_id else ""

    def _call(self, name: CallName, contact: str, phone_number_id: str) -> None:
        with self._guard(name):
            person = self._whose.named(f"{name}()", contact, phone_number_id)
            if person is not None:
                number, phone, user = person
                self._emit(Call(phone_number_id=number, wa_id=phone, user_id=user, received=self._moment(), name=name))
