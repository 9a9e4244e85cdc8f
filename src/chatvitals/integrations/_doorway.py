"""Shared parts of asynchronous integrations: their paths, a request's headers, and the metrics page."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from chatvitals.exporters.metrics_app import MetricsRequest
from chatvitals.integrations import _arguments, _http, _paths
from chatvitals.integrations._lost_webhooks import Lookout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.integrations.wsgi import MountableVitals
    from chatvitals.pipeline.webhook_sink import WebhookSink

    Values: TypeAlias = Callable[[str], Sequence[str]]

_SIGNATURE = "X-Hub-Signature-256"


class Doorway:
    """The paths of one integration.

    Args:
        vitals: the result of `chatvitals.init`.
        webhook_path: the path that WhatsApp posts to.
        metrics_path: the path of the metrics. None serves no metrics.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """

    def __init__(self, vitals: MountableVitals, webhook_path: str, metrics_path: str | None) -> None:
        _arguments.check_vitals(vitals)
        _paths.check_paths(webhook_path, metrics_path)
        self.vitals = vitals
        self.sink: WebhookSink = vitals.webhook_sink
        self.webhook_paths: tuple[str, str] = _paths.spellings("webhook_path", webhook_path)
        self._metrics = () if metrics_path is None else _paths.spellings("metrics_path", metrics_path)
        self.sink.watches(webhook_path)
        if metrics_path is not None:
            self.sink.serves(metrics_path)
            _http.warn_if_open(self.sink, metrics_path)

    def watches(self, method: object, path: object, seen: object, values: Values) -> bool:
        """Return whether a request is a webhook that no outer integration counts for the same sink.

        Args:
            method: the method of the request.
            path: the path of the request.
            seen: the deliveries of this request so far.
            values: function that returns the values of a header.

        """
        if method != "POST" or path not in self.webhook_paths:
            return False
        return not _http.is_seen(self.sink, seen, _signature, values)

    def lookout(self, method: object, path: object, values: Values) -> Lookout | None:
        """Return a lookout for webhooks on a path that is not watched, until the first webhook has come."""
        if method != "POST" or path in self.webhook_paths or not self.sink.expects_webhooks:
            return None
        return Lookout(self.sink, path) if any("json" in value for value in values("Content-Type")) else None

    def serves(self, method: object, path: object) -> bool:
        """Return whether a request asks for the metrics. The bot's own routes go first."""
        return path in self._metrics and method in {"GET", "HEAD"}

    async def metrics(self, method: str, values: Values) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of the metrics page. It is rendered off the event loop."""
        import asyncio  # noqa: PLC0415 - `import chatvitals` comes past here, and a bot on threads needs none of it

        names = ("Accept", "Authorization", "Accept-Encoding")
        request = MetricsRequest(method, *(", ".join(values(name)) for name in names))
        return await asyncio.to_thread(self.vitals.metrics_response, request)


def _signature(values: Values) -> str | None:
    found = values(_SIGNATURE)
    return ", ".join(found) if found else None


class HeaderDelivery(_http.Delivery, eq=False, kw_only=True):
    """One POST on the webhook path, for frameworks with an object for the headers."""

    _values: Values

    def signature(self) -> str | None:
        """Return the signature header. Several headers are joined, so that none of them is valid."""
        return _signature(self._values)

    def declared_length(self) -> int:
        """Return the declared length of the body in bytes, or 0 where there is no valid length."""
        try:
            return max(map(int, self._values("Content-Length")), default=0)
        except ValueError:
            return 0

    def start(self) -> None:
        """Bind the contacts of this webhook. It never raises."""
        try:
            self.begin()
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self.report(error)

    def copy(self, piece: bytes, *, last: bool) -> None:
        """Copy a piece of the body. It never raises."""
        if self.is_copying:
            try:
                super().copy(piece, last=last)
            except Exception as error:  # noqa: BLE001 - the bot must not see it
                self.forget()
                self.report(error)

    def becomes_200(self, status: object) -> bool:
        """Record the status of the answer. Return whether 200 replaces it. It never raises."""
        try:
            return self.answered(status)
        except Exception as error:  # noqa: BLE001 - the bot must not see it
            self.report(error)
            return False
