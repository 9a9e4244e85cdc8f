"""`Vitals`, the main object of a bot's author. It connects settings, store, pipeline, integrations and hooks."""

from __future__ import annotations

import atexit
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack
from weakref import WeakSet

from chatvitals import http_hooks
from chatvitals.exporters.leader_election import LeaderElection
from chatvitals.exporters.prometheus import VitalsCollector
from chatvitals.integrations._applications import Applications
from chatvitals.pipeline.identity_keys import MovedKey, known_hasher, refuse_missing_key
from chatvitals.pipeline.setup_advice import SetupAdvice
from chatvitals.pipeline.store_advice import StoreAdvice
from chatvitals.pipeline.unused_numbers import UnusedNumbers
from chatvitals.pipeline.webhook_sink import WebhookSink
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime import advice, exit_signals
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings, SettingsError, SettingsKeywords, misspelt
from chatvitals.stores import kind_of, open_store
from chatvitals.stores.base import StoreMistakeError
from chatvitals.stores.mistakes import refuse_mistakes
from chatvitals.tracking import threads
from chatvitals.tracking.assignments import Assignments
from chatvitals.tracking.bot_reports import BotReports
from chatvitals.tracking.contact_lookup import ContactResolver
from chatvitals.tracking.declarations import Declarations
from chatvitals.tracking.ordered_clock import MonotonicClock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.otlp_push import OtlpPush
    from chatvitals.graph_api.poller import Poller
    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import Experiment
    from chatvitals.tracking.journeys import Journey


def init(**settings: Unpack[SettingsKeywords]) -> Vitals:
    """Start measuring. Read the settings, watch this process's HTTP clients, and return the `Vitals`.

    Call it once per process, before the bot sends anything:

        vitals = chatvitals.init(app_secret=os.environ["WHATSAPP_APP_SECRET"])

    Args:
        **settings: see `Settings`. Keywords win over `CHATVITALS_*` variables, which win over the defaults.

    Raises:
        SettingsError: a setting is unknown or its value is not allowed, or the store can never be used like this.
            Nothing has been started then.

    """
    chosen = Settings.load(settings)
    try:
        refuse_mistakes(chosen.store, partial(refuse_missing_key, chosen))
    except StoreMistakeError as error:
        raise SettingsError(f"store: {error}") from None
    vitals = Vitals(chosen)
    if vitals.settings.otlp:
        vitals.export_otlp()
    if not vitals.settings.app_secret:
        vitals.webhook_sink.advice.once(advice.UNPROTECTED)
    for sentence in misspelt.sentences():
        vitals.webhook_sink.advice.once(sentence)
    if vitals.settings.hooks:
        http_hooks.install(vitals._observer)
        vitals._undo_on_close(threads.install())
    atexit.register(vitals.close)
    exit_signals.register(vitals.close)
    vitals.webhook_sink.shown = vitals._shown
    vitals.webhook_sink.tell_start()
    return vitals


class Vitals(Applications, Declarations, BotReports):
    """The vital signs of one bot. Create it with `chatvitals.init`. Tests may pass a clock and use no thread.

    All methods are thread-safe. Methods about messages never raise and never wait.

    Args:
        settings: checked settings.
        store: the store to use instead of the store of the settings.
        clock: function that returns the time in Unix seconds.
        background: whether a daemon thread commits. Without it, `settle` and each scrape commit.
        on_error: called with place and exception of each swallowed error, for tests.

    """

    _poller: Poller | None = None  # both are set in one step, so that two threads never start two of them
    _otlp: OtlpPush | None = None

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
        self.store: Store = open_store(settings.store) if store is None else store
        self._pipeline = Pipeline(settings, self.store, self._guard, clock, background=background)
        self.webhook_sink: WebhookSink = WebhookSink(settings, self._guard, clock, self._pipeline.put)
        """The receiver of webhooks, for integrations."""
        self.webhook_sink.flush = self._pipeline.flush
        self._emit = self.webhook_sink.emit
        self.journeys: dict[str, Journey] = {}
        self.experiments: dict[str, Experiment] = {}
        self._moment = MonotonicClock(clock)
        leadership = LeaderElection(self.store, clock) if settings.expose == "leader" else None
        self.collector: VitalsCollector = VitalsCollector(
            settings, self.store, self._pipeline, self._guard, self.journeys, leadership
        )
        self.collector.reader.experiments = self.experiments
        if leadership is not None:
            self._pipeline.periodic_tasks.append(leadership.renew)
        self._pipeline.periodic_tasks.append(StoreAdvice(self.store, self._guard))
        self._pipeline.periodic_tasks.append(UnusedNumbers(settings, self.store, clock))
        self._pipeline.periodic_tasks.append(MovedKey(settings, self.store, self._guard.advice, clock))
        if settings.hooks:  # a worker without webhooks may import its HTTP client late, too
            self._pipeline.periodic_tasks.append(http_hooks.refresh)
            self.webhook_sink.before_receive.append(http_hooks.refresh)
        self._whose = ContactResolver(self._guard, self._default_number)
        self._assignments = Assignments(
            self.store, partial(known_hasher, settings, self.store), self._pipeline.hasher, clock
        )
        shared = "" if kind_of(settings.store).shared_by == "process" else settings.store
        self._observer = sends = http_hooks.SendObserver(
            self._emit, self._guard, clock, self._default_number, store=shared
        )
        self._pipeline.periodic_tasks.append(SetupAdvice(self.webhook_sink, lambda: sends.seen, self.store))
        self._undo: list[Callable[[], None]] = []
        self._undo_clients: WeakSet[Callable[[], None]] = WeakSet()  # some bots make a client for each request
        self._open = [True]  # a list, because only one of two threads can take its entry
        self._pipeline.before_exit = self.close

    def __repr__(self) -> str:
        """Show the store, the hooked HTTP clients and the number of webhooks in this process."""
        shown = " ".join(f"{name}={value}" for name, value in self._shown().items() if name != "poller")
        return f"<Vitals {shown} webhooks={self.webhook_sink.seen}>"

    def _shown(self) -> dict[str, str]:
        hooks = ",".join(http_hooks.hooked()) if self.settings.hooks else "off"
        store = type(self.store).__name__.removesuffix("Store")
        return {"store": store, "hooks": hooks or "none yet", "poller": "off" if self._poller is None else "on"}

    def instrument_client(self, client: Any) -> Callable[[], None]:
        """Watch the sends of one HTTP client only. Return a function that undoes it.

            client = httpx.AsyncClient()
            vitals.instrument_client(client)   # with chatvitals.init(hooks=False)

        Args:
            client: an `httpx.Client`, `httpx.AsyncClient`, `requests.Session` or `aiohttp.ClientSession`.

        Raises:
            TypeError: the client is of another kind.

        """
        undo = http_hooks.instrument_client(client, self._observer)
        self._undo_clients.add(undo)
        return undo

    # Quality ratings

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
        """Poll WhatsApp's ratings of numbers and templates on a separate thread. Only one of all workers polls.

        It may be called several times, for several WABAs. Missing values come from the settings of the same names
        (`poll_every` for `every`), and so from variables such as `CHATVITALS_ACCESS_TOKEN`.

        Args:
            access_token: a token with the permission whatsapp_business_management, or tokens by WABA id.
            waba_ids: ids of WhatsApp Business Accounts. With tokens by WABA id, these are the default.
            graph_url: address of the Graph API, without a version.
            api_version: version of the Graph API. The default is `v26.0`.
            every: seconds between two polls of a WABA. The default is 300. Webhooks about quality bring a poll forward.
            hourly_calls: most requests per WABA and hour. The default is 100. Each poll takes two or more.

        Raises:
            SettingsError: a value is missing or not allowed. No message shows a token.
            ModuleNotFoundError: httpx is not installed. The extra `graph` installs it.

        """
        from chatvitals.graph_api import config  # noqa: PLC0415 - only the poller needs an HTTP client

        given = config.PollerOptions(access_token, waba_ids, graph_url, api_version, every, hourly_calls)
        targets = config.targets(given, self.settings)
        made = self._poller or config.poller(self.store, self._emit, self._guard, self.clock)
        poller = vars(self).setdefault("_poller", made)
        if poller is made and poller.ensure not in self.webhook_sink.before_receive:
            self.webhook_sink.before_receive.append(poller.ensure)  # the server may have forked since
        if not self._open:
            poller.close()
        for target in targets:
            poller.add(target)
        self.webhook_sink.tell_start()

    # OpenTelemetry

    def export_otlp(
        self,
        exporter: MetricExporter | None = None,
        *,
        interval: float = 60.0,
        resource: Resource | Mapping[str, Any] | None = None,
    ) -> None:
        """Push all metrics to an OpenTelemetry endpoint. Only one of all workers pushes the shared numbers.

            vitals.export_otlp()   # set up by OTEL_EXPORTER_OTLP_ENDPOINT, _HEADERS and _PROTOCOL

        Args:
            exporter: any `MetricExporter`. The default is OTLP over HTTP or gRPC.
            interval: seconds between two pushes, 1 to 3600.
            resource: attributes of the bot, in addition to `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

        Raises:
            ModuleNotFoundError: the extra `otel` is not installed.
            TypeError: `exporter` is not a `MetricExporter`, or `resource` has no attributes.
            ValueError: the interval is not allowed, or metrics are pushed already.

        """
        from chatvitals.exporters.otlp_push import OtlpPush  # noqa: PLC0415 - only a push needs it

        made = OtlpPush(
            self.collector.reader,
            self.store,
            self._guard,
            self.clock,
            exporter=exporter,
            interval=interval,
            resource=resource,
        )
        if vars(self).setdefault("_otlp", made) is not made:
            raise ValueError("metrics are pushed already: call export_otlp() once, or set otlp=True, not both")
        self.webhook_sink.before_receive.append(made.ensure)  # the server may have forked since
        self._pipeline.periodic_tasks.append(made.ensure)
        if not self._open:
            made.close()
        made.ensure()

    # Running

    def settle(self, timeout: float = 5.0) -> None:
        """Commit received events, and apply those whose settling window has passed. It never raises.

        Args:
            timeout: most seconds to wait. A scrape does the same with half a second. Another value than a number
                counts as 5, and the log explains it once.

        """
        with self._guard("settle"):
            if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
                self._guard.mistake(
                    "settle", f"settle() takes a number of seconds, not {timeout!r:.80}, and waits 5 s."
                )
                timeout = 5.0
            self._pipeline.settle(timeout)

    def _undo_on_close(self, undo: Callable[[], None]) -> None:
        """Register `undo` to be called by `close`, so that integrations leave nothing behind."""
        self._undo.append(undo)

    def close(self) -> None:
        """Stop watching, commit waiting events within 2 s, and end the threads. A second call does nothing.

        The last push over OTLP and the end of a poll take another second each at most. It never raises. An error in one
        part leaves no other part open.
        """
        try:
            self._open.pop()
        except IndexError:
            return
        with self._guard("close"):
            http_hooks.remove(self._observer)
        for undo in self._undo:
            with self._guard("close"):
                undo()
        while self._undo_clients:
            with self._guard("close"):
                self._undo_clients.pop()()
        for part in (self._poller, self._pipeline, self._otlp, self.store):
            if part is not None:
                with self._guard("close"):
                    part.close()
        atexit.unregister(self.close)
        exit_signals.unregister(self.close)

    @property
    def _default_number(self) -> str:
        return self.settings.phone_number_id[0] if self.settings.phone_number_id else ""
