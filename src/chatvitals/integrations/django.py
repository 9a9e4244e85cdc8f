"""Integration of Django: a middleware for WSGI and ASGI, and an app that starts chatvitals.

# settings.py
INSTALLED_APPS = ["chatvitals.integrations.django", ...]
MIDDLEWARE = ["chatvitals.integrations.django.Middleware", ...]
CHATVITALS = {"app_secret": os.environ["WHATSAPP_APP_SECRET"], "metrics_path": "/metrics"}
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve

from chatvitals.exporters.metrics_app import MetricsRequest
from chatvitals.integrations import _arguments, _http, _lost_webhooks, _paths
from chatvitals.integrations._wsgi_input import InputWatch
from chatvitals.integrations.wsgi import EnvironDelivery, signature_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations._frameworks import MountableVitals
    from chatvitals.vitals import Vitals

__all__ = ["ChatVitalsConfig", "Middleware", "get_vitals", "instrument_handler"]

logger: logging.Logger = logging.getLogger(__name__)
_lock = threading.Lock()
_started: list[Vitals] = []
_PATHS = ("webhook_path", "metrics_path")


class ChatVitalsConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Django app that starts chatvitals, so that sends of commands and tasks are also counted."""

    name = "chatvitals.integrations.django"
    label = "chatvitals"
    verbose_name = "chatvitals"

    def ready(self) -> None:
        """Start with `settings.CHATVITALS`."""
        get_vitals()


def get_vitals() -> Vitals:
    """Return the `Vitals` of this project. The first call starts it with `settings.CHATVITALS`.

    Use it for steps, handovers and all other calls.

        from chatvitals.integrations.django import get_vitals

        get_vitals().handover()

    Raises:
        ImproperlyConfigured: `settings.CHATVITALS` is not a dictionary, or holds an invalid setting.

    """
    import chatvitals  # noqa: PLC0415 - `init` is above this package

    with _lock:
        if not _started:
            given = _given()
            try:
                _started.append(chatvitals.init(**{name: value for name, value in given.items() if name not in _PATHS}))
            except chatvitals.SettingsError as error:
                raise ImproperlyConfigured(f"settings.CHATVITALS: {error}") from error
        return _started[0]


class Middleware:
    """A middleware that watches the webhook of a Django project. Put it first in `MIDDLEWARE`.

    `settings.CHATVITALS` holds the settings of `chatvitals.init`, with `webhook_path` (default `/webhook`) and
    `metrics_path` (no default) in addition.

    Args:
        get_response: the rest of Django.
        vitals: the result of `chatvitals.init`. The default is `get_vitals()`, with the paths of the settings.
        webhook_path: the path that WhatsApp posts to, where `vitals` is given. None means `/webhook`.
        metrics_path: the path of the metrics, where `vitals` is given. None serves no metrics.

    Raises:
        ImproperlyConfigured: `settings.CHATVITALS` is invalid.

    """

    sync_capable = True
    async_capable = True

    def __init__(
        self,
        get_response: Callable[[HttpRequest], Any],
        *,
        vitals: MountableVitals | None = None,
        webhook_path: str | None = None,
        metrics_path: str | None = None,
    ) -> None:
        self.get_response = get_response
        if vitals is None:
            given = _given()
            vitals = get_vitals()
            webhook_path, metrics_path = given.get("webhook_path"), given.get("metrics_path")
        webhook_path = webhook_path or "/webhook"
        try:
            _paths.check_paths(webhook_path, metrics_path)
        except ValueError as error:
            raise ImproperlyConfigured(f"settings.CHATVITALS: {error}") from error
        self._vitals = vitals
        self._sink = vitals.webhook_sink
        self._paths = _paths.spellings("webhook_path", webhook_path)
        self._metrics = () if metrics_path is None else _paths.spellings("metrics_path", metrics_path)
        self._taken: bool | None = None
        self._sink.watches(webhook_path)
        if metrics_path is not None:
            self._sink.serves(metrics_path)
            _http.warn_if_open(self._sink, metrics_path)
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Pass the request on, and watch it if it is a webhook."""
        if iscoroutinefunction(self):
            return self._acall(request)
        if self._serves(request):
            return self._metrics_response(request)
        delivery = self._delivery(request)
        if delivery is None:
            return self.get_response(request)
        try:
            return delivery.answered_with(self.get_response(request))
        finally:
            delivery.end()

    async def _acall(self, request: HttpRequest) -> Any:
        if self._serves(request):
            return await sync_to_async(self._metrics_response)(request)
        delivery = self._delivery(request)
        if delivery is None:
            return await self.get_response(request)
        try:
            return delivery.answered_with(await self.get_response(request))
        finally:
            delivery.end()

    def _delivery(self, request: HttpRequest) -> _Delivery | None:
        if request.method != "POST":
            return None
        if not _paths.matches(self._paths, request.path_info, request.META.get("SCRIPT_NAME")):
            if self._sink.expects_webhooks and _seen(request) is None and "json" in str(request.content_type):
                lookout = _lost_webhooks.Lookout(self._sink, request.path_info)
                request._stream = InputWatch(request._stream, lookout)  # noqa: SLF001 - as below
            return None
        if _http.is_seen(self._sink, _seen(request), signature_in, request.META):
            return None
        delivery = _Delivery(self._sink, _environ=request.META)
        try:
            request.META[_http.SEEN] = delivery.enter(_seen(request))
            request._stream = InputWatch(request._stream, delivery)  # noqa: SLF001 - the source of `body` and `read()`
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            delivery.report(error)
        return delivery

    def _serves(self, request: HttpRequest) -> bool:
        """Return whether this is a request for the metrics that no view of the project answers."""
        if not self._metrics or request.method not in {"GET", "HEAD"}:
            return False
        if not _paths.asks_for_metrics(self._metrics, request.path_info, request.META.get("SCRIPT_NAME")):
            return False
        if self._taken is None:
            self._taken = False
            try:
                match = resolve(request.path_info)
                self._taken = not match.kwargs and not match.args
            except Resolver404:
                pass
            if self._taken:
                logger.warning(
                    "The metrics of chatvitals are not shown: %s.", _arguments.taken_sentence(request.path_info)
                )
        return not self._taken

    def _metrics_response(self, request: HttpRequest) -> HttpResponse:
        headers = request.headers
        status, given, body = self._vitals.metrics_response(
            MetricsRequest(
                request.method or "GET",
                headers.get("Accept", ""),
                headers.get("Authorization", ""),
                headers.get("Accept-Encoding", ""),
            )
        )
        return HttpResponse(b"" if request.method == "HEAD" else body, status=status, headers=given)


class _Delivery(EnvironDelivery, eq=False):
    """One POST on the webhook path of a Django project."""

    where = "django"

    def answered_with(self, response: Any) -> Any:
        """Record the answer. Only an error for account events may become a 200."""
        try:
            if self.answered(response.status_code):
                response.status_code = 200
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self.report(error)
        return response


def _seen(request: HttpRequest) -> Any:
    """Return the mark of outer integrations. On ASGI, only Django's own middleware writes it into `META`."""
    found = request.META.get(_http.SEEN)
    return getattr(request, "scope", {}).get(_http.SEEN) if found is None else found


def instrument_handler(vitals: MountableVitals, handler: Any, webhook_path: str, metrics_path: str | None) -> None:
    """Put the middleware around a whole project. `vitals.instrument_app(application)` calls it.

    Args:
        vitals: the result of `chatvitals.init`.
        handler: the result of `get_wsgi_application()` or `get_asgi_application()`. It is changed in place.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

    Raises:
        ImproperlyConfigured: a path is not a fixed path that starts with `/`, or both are the same.

    """
    chain = handler._middleware_chain  # noqa: SLF001 - the one attribute that both handlers call
    if isinstance(chain, Middleware) and chain._sink is vitals.webhook_sink:  # noqa: SLF001 - our own
        return
    handler._middleware_chain = Middleware(  # noqa: SLF001 - as above
        chain, vitals=vitals, webhook_path=webhook_path, metrics_path=metrics_path
    )


def _given() -> dict[str, Any]:
    given = getattr(settings, "CHATVITALS", {})
    if not isinstance(given, dict):
        raise ImproperlyConfigured("settings.CHATVITALS must be a dictionary of settings of chatvitals.init")
    return given
