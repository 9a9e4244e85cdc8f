"""The part of `Vitals` that watches applications and webhooks, and serves the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from chatvitals.exporters.metrics_app import MetricsApp, MetricsRequest, respond
from chatvitals.integrations import _frameworks, aws_lambda
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.tracking.observation import Headers, Observation, observe

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.exporters.prometheus import VitalsCollector
    from chatvitals.integrations.wsgi import WSGIApp
    from chatvitals.pipeline.webhook_sink import WebhookSink
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings

    App = TypeVar("App")
    R = TypeVar("R")


class Applications:
    """The part of `Vitals` with the methods for applications. `Vitals` sets the attributes."""

    settings: Settings
    webhook_sink: WebhookSink
    collector: VitalsCollector
    _guard: ErrorGuard

    def instrument_app(self, app: App, *, webhook_path: str | None = None, metrics_path: str | None = None) -> App:
        """Watch the webhook of an application before it starts, and optionally serve `/metrics`.

            app = FastAPI()
            vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")

        Args:
            app: an application of FastAPI, Starlette, Flask, Quart, Django, aiohttp, Tornado or Sanic, or a client of
                pywa. It is changed in place. A second call counts nothing twice.
            webhook_path: the path that WhatsApp posts to. The default is pywa's own endpoint, or `/webhook`.
            metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

        Returns:
            The given application.

        Raises:
            TypeError: applications of this kind are not known. The message names the alternatives.
            RuntimeError: the application has started already.
            ValueError: a path is not a fixed path that starts with `/`, both are the same, the application serves
                `metrics_path` itself, or pywa listens at another path.

        """
        return _frameworks.instrument_app(self, app, webhook_path=webhook_path, metrics_path=metrics_path)

    def instrument_wsgi(
        self, app: WSGIApp, *, webhook_path: str = "/webhook", metrics_path: str | None = None
    ) -> ChatVitalsWSGIMiddleware:
        """Return any WSGI application with its webhook watched.

            app.wsgi_app = vitals.instrument_wsgi(app.wsgi_app, metrics_path="/metrics")

        Args:
            app: the WSGI application of the bot.
            webhook_path: the path that WhatsApp posts to, within this application or in full.
            metrics_path: the path of the metrics, for GET and HEAD. None serves no metrics.

        Raises:
            TypeError: `app` is no WSGI application.
            ValueError: a path is not a fixed path that starts with `/`, or both are the same.

        """
        return ChatVitalsWSGIMiddleware(app, self, webhook_path=webhook_path, metrics_path=metrics_path)

    def lambda_handler(self: aws_lambda.SettlingVitals, function: Callable[[Any, Any], R]) -> Callable[[Any, Any], R]:
        """Return an AWS Lambda function with its webhooks watched, as a decorator.

            @vitals.lambda_handler
            def handler(event, context): ...

        Every POST counts as a webhook. To watch one path only, use `chatvitals.integrations.aws_lambda`. Events are
        committed before the function returns, within 2 s, because the sandbox freezes afterwards.

        Args:
            function: the handler, with the arguments event and context. Its results and exceptions pass unchanged.

        Raises:
            TypeError: `function` is not a plain function. A coroutine function is none, because Lambda awaits nothing.

        """
        return aws_lambda.lambda_handler(self, function)

    def observe_webhook(self, body: bytes | str, headers: Headers | None = None) -> Observation:
        """Observe a webhook's raw body where no integration fits. It never raises.

            with vitals.observe_webhook(body, headers) as webhook:
                if not signature_fits(body, headers):
                    webhook.reject()

        Args:
            body: the raw bytes. A parsed and re-serialised body fails the signature.
            headers: the request's headers, in any case and form. Only `X-Hub-Signature-256` is read.

        Returns:
            An observation for a `with` statement around the handling. Replies and calls in the block belong to the
            webhook's contact. Call its `reject()` in the block if the bot refuses the webhook.

        """
        return observe(self.webhook_sink, body, headers)

    def metrics_app(self) -> MetricsApp:
        """Return an ASGI app that serves the metrics as text or OpenMetrics. It requires `metrics_token` if set.

        app.mount("/metrics", vitals.metrics_app())
        """
        return MetricsApp(self.collector, self._guard, self.settings.metrics_token)

    def metrics_response(self, request: MetricsRequest) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the metrics page, for servers that are not ASGI. It never raises.

            request = MetricsRequest("GET", accept=headers.get("Accept", ""))
            status, given, body = vitals.metrics_response(request)

        Args:
            request: a `chatvitals.exporters.metrics_app.MetricsRequest`, which is the method and three headers.

        Returns:
            200 with the page, 401 for a wrong token, 405 for a method other than GET and HEAD, or 500.

        """
        return respond(self.collector, self._guard, self.settings.metrics_token, request)
