"""Periodic push of snapshots to an OpenTelemetry exporter. Only one process pushes the store's numbers."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chatvitals.exporters.delta_claim import DeltaClaim, Pushed
from chatvitals.metrics import catalogue
from chatvitals.runtime import pacing
from chatvitals.runtime.leased_thread import LeasedThread
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.resources import Resource

    from chatvitals.exporters.opentelemetry import Part
    from chatvitals.exporters.otlp_answers import EndpointAnswers
    from chatvitals.exporters.otlp_exporters import Sender
    from chatvitals.exporters.snapshot import Snapshot, SnapshotReader, Values
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

logger: logging.Logger = logging.getLogger(__name__)

_LEASE = "otlp"
_LEASE_SECONDS = 60.0  # longer than the retries of an exporter
_RENEW_EVERY = 5.0
_NO_SDK = "OpenTelemetry's SDK and exporters are not installed: pip install 'chatvitals[otel]'"


class OtlpPush(LeasedThread):
    """A thread that passes the numbers to a `MetricExporter` every `interval` seconds.

    Only the process with the lease pushes the store's numbers. Each process pushes its own health as a separate
    resource. Nothing is lost while the endpoint is away. Counters are cumulative, and differences wait in the store.

    Args:
        reader: the reader of the numbers.
        store: the shared store with the lease.
        guard: counts errors.
        clock: function that returns the time in Unix seconds.
        exporter: any `MetricExporter`. The default is OTLP, set up by the variables `OTEL_EXPORTER_OTLP_*`.
        interval: seconds between two pushes.
        resource: attributes of the bot, in addition to `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`.

    Raises:
        ModuleNotFoundError: the extra `otel` is not installed.
        TypeError: `exporter` is not a `MetricExporter`, or `resource` has no attributes.

    """

    place = "otlp"
    without = "nothing is pushed"

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

            if exporter is None:  # reports a missing package now; each process creates its own exporter later
                from chatvitals.exporters import otlp_exporters  # noqa: PLC0415

                otlp_exporters.default()
        except ModuleNotFoundError:
            raise ModuleNotFoundError(_NO_SDK) from None
        if exporter is not None and not callable(getattr(exporter, "export", None)):
            raise TypeError(_refusal(exporter))
        if not isinstance(interval, (int, float)) or isinstance(interval, bool) or not 1.0 <= interval <= 3600.0:
            raise ValueError(f"interval must be a number of seconds from 1 to 3600, not {interval!r}")
        if resource is not None and not isinstance(resource, (Resource, Mapping)):
            raise TypeError(f"resource must be a Resource or attributes by name, not {resource!r:.80}")
        given = resource if isinstance(resource, Resource) else Resource(dict(resource or {}))
        self._resource = Resource.create().merge(given)
        self._own_instance = "service.instance.id" in _given_attributes(given)
        self._reader = reader
        self._store = store
        self._clock = clock
        self._given = exporter
        self._interval = float(interval)
        super().__init__(guard)
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            self._closed = True
            logger.info("OTEL_SDK_DISABLED is true. Nothing is pushed.")

    def _begin(self) -> None:
        """Start without a thread, a lease and connections."""
        super()._begin()
        self._instance = str(uuid.uuid4())
        self._exporter: MetricExporter | None = None
        self._sender: Sender | None = None
        self._claim = DeltaClaim(self._store, self._holder)
        self._leads = False

    def push(self) -> bool:
        """Push once, now. Return whether the exporter accepted it. It never raises."""
        with self._guard("otlp"):
            self._renew()
            return self._push()
        return False

    def _run(self) -> None:
        pacing.begin()
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
        """Request the lease. While the store is away nothing changes, since no other process can take over."""
        with suppress(StoreUnavailableError):
            self._leads = self._store.lease(_LEASE, self._holder, _LEASE_SECONDS, self._clock())

    def _push(self) -> bool:
        from chatvitals.exporters import otlp_exporters  # noqa: PLC0415 - an extra

        if self._exporter is None or self._sender is None:
            self._exporter = self._given or otlp_exporters.default()
            self._sender = otlp_exporters.Sender(self._exporter)
        delta = otlp_exporters.wants_delta(self._exporter)
        # before the numbers are read, because no other process may push later numbers meanwhile
        before = self._claim.take() if self._leads and any(delta) else None
        taken, told = False, None
        try:
            # without a claim another process pushes, or the store is away, and the next push includes everything
            tells = self._leads and (before is not None or not any(delta))
            snapshot = self._reader.read() if tells else self._reader.read_process()
            now = self._clock()
            parts = self._parts(snapshot, now, before, delta)
            taken = self._sender.send(parts)
            if taken and before is not None and snapshot.birth is not None:
                told = Pushed(now, {**before.values, **_listed(_shared(snapshot))}, snapshot.birth.id)
        finally:
            if before is not None:
                self._claim.end(told)
        self._tell_trouble(self._sender.answers, taken=taken)
        return taken

    def _tell_trouble(self, answers: EndpointAnswers | None, *, taken: bool) -> None:
        if answers is not None and answers.is_foreign:
            message = (
                "the endpoint answers with a web page, so it is no OTLP endpoint or asks for a login "
                "(see OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS)"
            )
        elif not taken:
            message = "the endpoint did not accept metrics (see OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS)"
        elif answers is not None and answers.rejected:
            points = "1 point" if answers.rejected == 1 else f"{answers.rejected} points"
            message = f"the endpoint rejected {points} of a push for good: {answers.reason!r}"
        elif answers is not None and answers.reason:  # a warning, and everything was accepted
            self._guard.advice.once(f"The OTLP endpoint accepts the metrics and warns: {answers.reason!r}")
            return
        else:
            return
        self._guard.report("otlp", message=message)

    def _parts(
        self,
        snapshot: Snapshot,
        now: float,
        before: Pushed | None,
        delta: tuple[bool, bool],
    ) -> list[Part]:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra

        from chatvitals.exporters.opentelemetry import Interval, Part  # noqa: PLC0415

        own = {name: found for name, found in snapshot.values.items() if catalogue.FAMILIES[name].scope == "process"}
        own_resource = self._resource
        if not self._own_instance:
            own_resource = own_resource.merge(Resource({"service.instance.id": self._instance}))
        parts = [Part(own_resource, own, Interval(now, now), {}, {})]
        shared, birth = _shared(snapshot), snapshot.birth
        if shared and birth is not None:
            resource = self._resource.merge(Resource({"service.instance.id": birth.id}))
            if before is None or before.store != birth.id:  # nothing was pushed from this store yet
                before = Pushed(birth.at, {})
            interval = Interval(birth.at, now, before.at if delta[0] else None, before.at if delta[1] else None)
            last = {name: dict(values) for name, values in before.values.items()}
            parts.insert(0, Part(resource, shared, interval, last, snapshot.exemplars))
        return parts


def _refusal(exporter: object) -> str:
    """Return why an object is not an exporter, with advice."""
    kind = type(exporter).__name__
    why = "readers and providers have instruments of their own. For Prometheus use vitals.metrics_app()"
    if "Prometheus" in kind:
        why = (
            "a Prometheus reader beside vitals.collector would show the same numbers twice on one registry. "
            "Use registry.register(vitals.collector) or vitals.metrics_app() alone"
        )
    return f"export_otlp() takes a MetricExporter, not {kind}: {why}"


def _shared(snapshot: Snapshot) -> dict[str, Values]:
    """Return the numbers that all processes on the store share."""
    return {name: found for name, found in snapshot.values.items() if catalogue.FAMILIES[name].scope != "process"}


def _listed(values: dict[str, Values]) -> dict[str, list[tuple[tuple[str, ...], dict[int, float]]]]:
    return {name: list(found.items()) for name, found in values.items()}


def _given_attributes(resource: Resource) -> set[str]:
    """Return the names of attributes that the user has set. The SDK adds a random instance id to its own resource."""
    text = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {item.partition("=")[0].strip() for item in text.split(",")} | set(resource.attributes)
