"""Pushes snapshots to an OpenTelemetry exporter, from a thread of its own; of all processes, one pushes the store's."""

from __future__ import annotations

import logging
import os
import secrets
import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from chatvitals.metrics import catalogue
from chatvitals.runtime import fork_hooks
from chatvitals.stores.base import Changes, ConflictError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.metrics.export import MetricExporter, ResourceMetrics
    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.snapshot import Snapshot, SnapshotReader, Values
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

logger = logging.getLogger(__name__)

_LEASE = "otlp"
_LEASE_SECONDS = 60.0  # longer than an exporter tries
_RENEW_EVERY = 5.0
_CLOSE_SECONDS = 1.0
_DOCUMENT = "otlp"
_ATTEMPTS = 5
_NO_SDK = "OpenTelemetry's SDK and exporters are not installed: pip install 'chatvitals[otel]'"


class _Pushed(msgspec.Struct, array_like=True):
    """What was pushed last, for exporters that want differences."""

    at: float
    values: dict[str, list[tuple[tuple[str, ...], dict[int, float]]]]


class OtlpPush:
    """Hands the numbers to a `MetricExporter` every `interval` seconds.

    One process has a lease and pushes what the store holds. Each process pushes its own health, as a resource of its
    own. While the endpoint is away nothing is lost: counters count up, and differences wait in the store.

    Args:
        reader: reads the numbers.
        store: shared with the other processes; it holds the lease.
        guard: counts what goes wrong.
        clock: returns the time in Unix seconds.
        exporter: any `MetricExporter`; by default OTLP as the variables `OTEL_EXPORTER_OTLP_*` say.
        interval: seconds between two pushes.
        resource: attributes of the bot, beside those of `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.
        TypeError: the exporter is none.

    """

    def __init__(  # noqa: PLR0913 - it connects all of these
        self,
        reader: SnapshotReader,
        store: Store,
        guard: ErrorGuard,
        clock: Callable[[], float],
        *,
        exporter: MetricExporter | None = None,
        interval: float = 60.0,
        resource: Resource | Mapping[str, Any] | None = None,
    ) -> None:
        try:
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        except ModuleNotFoundError:
            raise ModuleNotFoundError(_NO_SDK) from None
        if exporter is None:
            _default_exporter()  # what is missing is told now; each process makes its own later
        elif not callable(getattr(exporter, "export", None)):
            raise TypeError(
                f"export_otlp() takes a MetricExporter, not {type(exporter).__name__}: readers and providers have "
                "instruments of their own. For Prometheus use vitals.metrics_app()"
            )
        if not isinstance(interval, (int, float)) or isinstance(interval, bool) or not 1.0 <= interval <= 3600.0:
            raise ValueError(f"interval must be a number of seconds from 1 to 3600, not {interval!r}")
        given = resource if isinstance(resource, Resource) else Resource(dict(resource or {}))
        self._resource = Resource.create().merge(given)
        self._own_instance = "service.instance.id" in _given_attributes(given)
        self._reader = reader
        self._store = store
        self._guard = guard
        self._clock = clock
        self._given = exporter
        self._interval = float(interval)
        self._closed = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        self._reset()
        if self._closed:
            logger.info("OTEL_SDK_DISABLED is true. Nothing is pushed.")
        fork_hooks.watch(self)

    def _reset(self) -> None:
        """Begin without a thread: at first, and in a forked child, whose parent keeps its own thread and lease."""
        self._lock = threading.Lock()
        self._holder = secrets.token_hex(8)
        self._instance = str(uuid.uuid4())
        self._exporter: MetricExporter | None = None
        self._leads = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def before_fork(self) -> None:
        """Do nothing: a child takes nothing over."""

    def after_fork_in_parent(self) -> None:
        """Do nothing: the parent goes on."""

    def after_fork_in_child(self) -> None:
        """Begin anew, without the parent's lease and connections."""
        self._reset()

    def ensure(self) -> None:
        """Start the thread where this process has none; cheap enough to be called with every webhook."""
        if self._thread is not None or self._closed:
            return
        with self._lock:
            if self._thread is not None or self._closed:
                return
            self._thread = threading.Thread(target=self._run, name="chatvitals-otlp", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:  # no threads here, or the interpreter is ending
                self._closed = True
                self._guard.report("otlp", error, message="no thread could be started; nothing is pushed")

    def close(self) -> None:
        """Push a last time and stop, within a second; a push that hangs is left alone."""
        self._closed = True
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(_CLOSE_SECONDS)

    def push(self) -> bool:
        """Push once, now; return whether the exporter took it. It never raises."""
        with self._guard("otlp"):
            self._renew()
            return self._push()
        return False

    def _run(self) -> None:
        stop = self._stop
        wait = self._interval
        while not stop.wait(min(wait, _RENEW_EVERY)):
            wait -= min(wait, _RENEW_EVERY)
            if wait > 0:
                if self._leads:
                    self._renew()
                continue
            self.push()
            wait = self._interval
        self.push()
        if self._leads:
            with suppress(StoreUnavailableError):
                self._store.lease(_LEASE, self._holder, 0.0, self._clock())
        if self._exporter is not None and self._given is None:
            with self._guard("otlp"):
                self._exporter.shutdown()
        self._store.close()

    def _renew(self) -> None:
        """Ask for the lease; while the store is away all is as before, since nobody else can take over."""
        with suppress(StoreUnavailableError):
            self._leads = self._store.lease(_LEASE, self._holder, _LEASE_SECONDS, self._clock())

    def _push(self) -> bool:
        exporter = self._exporter
        if exporter is None:
            exporter = self._exporter = self._given or _default_exporter()
        snapshot = self._reader.read() if self._leads else self._reader.read_process()
        counters_delta, histograms_delta = _wants_delta(exporter)
        shared = {
            name: values for name, values in snapshot.values.items() if catalogue.FAMILIES[name].scope != "process"
        }
        before = self._before() if counters_delta or histograms_delta else None
        if before is None and (counters_delta or histograms_delta):
            shared = {}  # the store is away: what was added since the last push is told by the next one
        now = self._clock()
        data = self._data(snapshot, shared, now, before, (counters_delta, histograms_delta))
        if not _export(exporter, data):
            self._guard.report(
                "otlp", message="the endpoint did not take metrics (see OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS)"
            )
            return False
        if before is not None and shared:
            pushed = {name: list(values.items()) for name, values in shared.items()}
            self._remember(before, _Pushed(now, before.values | pushed))
        return True

    def _data(
        self,
        snapshot: Snapshot,
        shared: dict[str, Values],
        now: float,
        before: _Pushed | None,
        delta: tuple[bool, bool],
    ) -> list[ResourceMetrics]:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415

        from chatvitals.exporters.opentelemetry import Interval, resource_metrics  # noqa: PLC0415 - an extra

        own = {name: values for name, values in snapshot.values.items() if name not in shared}
        own = {name: values for name, values in own.items() if catalogue.FAMILIES[name].scope == "process"}
        own_resource = self._resource
        if not self._own_instance:
            own_resource = own_resource.merge(Resource({"service.instance.id": self._instance}))
        data = [resource_metrics(own_resource, own, Interval(now, now), {}, {})]
        if shared and snapshot.birth is not None:
            resource = self._resource.merge(Resource({"service.instance.id": snapshot.birth.id}))
            start = snapshot.birth.at
            since = start if before is None or not before.at else before.at
            interval = Interval(start, now, since if delta[0] else None, since if delta[1] else None)
            last = {} if before is None else {name: dict(values) for name, values in before.values.items()}
            data.insert(0, resource_metrics(resource, shared, interval, last, snapshot.exemplars))
        return data

    def _before(self) -> _Pushed | None:
        """Return what was pushed last, by whichever process; None while the store is away."""
        try:
            document = self._store.document(_DOCUMENT)
        except StoreUnavailableError:
            return None
        return _Pushed(0.0, {}) if document is None else msgspec.msgpack.decode(document, type=_Pushed)

    def _remember(self, before: _Pushed, pushed: _Pushed) -> None:
        """Keep what was pushed, unless another process has pushed meanwhile: then its own is the latest."""
        for _ in range(_ATTEMPTS):
            with suppress(ConflictError), self._store.transaction() as transaction:
                document = transaction.document(_DOCUMENT)
                at = 0.0 if document is None else msgspec.msgpack.decode(document, type=_Pushed).at
                if at == before.at:
                    transaction.commit(Changes(documents={_DOCUMENT: msgspec.msgpack.encode(pushed)}))
                return


def _default_exporter() -> MetricExporter:
    """Return the exporter that the standard variables name: OTLP over HTTP or gRPC.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.

    """
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    try:
        if protocol == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415
                OTLPMetricExporter as GrpcExporter,
            )

            return GrpcExporter()
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

        return OTLPMetricExporter()
    except ModuleNotFoundError:
        raise ModuleNotFoundError(_NO_SDK) from None


def _export(exporter: MetricExporter, data: list[ResourceMetrics]) -> bool:
    """Hand the data over, without spans of the bot's own instrumentation about it."""
    from opentelemetry.context import (  # noqa: PLC0415
        _SUPPRESS_INSTRUMENTATION_KEY,
        attach,
        detach,
        set_value,
    )
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData  # noqa: PLC0415

    token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        return exporter.export(MetricsData(data)) is MetricExportResult.SUCCESS
    finally:
        detach(token)


def _wants_delta(exporter: MetricExporter) -> tuple[bool, bool]:
    """Return whether the exporter prefers differences, of counters and of histograms."""
    from opentelemetry.sdk.metrics import Counter, Histogram  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import AggregationTemporality  # noqa: PLC0415

    preferred = getattr(exporter, "_preferred_temporality", None) or {}  # the SDK's own readers look there as well
    delta = AggregationTemporality.DELTA
    return preferred.get(Counter) is delta, preferred.get(Histogram) is delta


def _given_attributes(resource: Resource) -> set[str]:
    """Return which attributes the user has given: the SDK puts a random instance into its own resource."""
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {item.partition("=")[0].strip() for item in text.split(",")} | set(resource.attributes)
