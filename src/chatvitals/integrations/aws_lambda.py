"""Integration of AWS Lambda: events of API Gateway (v1 and v2), of function URLs and of load balancers."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from chatvitals.integrations import _arguments, _http, _paths
from chatvitals.integrations._http import DoorVitals
from chatvitals.tracking import refusals
from chatvitals.tracking.observation import observe

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.pipeline.webhook_sink import WebhookSink
    from chatvitals.tracking.observation import Observation

__all__ = ["lambda_handler"]

Result = TypeVar("Result")

_FLUSH_SECONDS = 2.0


class SettlingVitals(DoorVitals, Protocol):
    """The parts of `Vitals` that this integration needs."""

    def settle(self, timeout: float = 5.0) -> None:
        """Commit received events."""


def lambda_handler(
    vitals: SettlingVitals, function: Callable[[Any, Any], Result], webhook_path: str | None = None
) -> Callable[[Any, Any], Result]:
    """Return a Lambda function whose webhooks are watched. Results and exceptions pass unchanged.

    Received events are committed before it returns, since the sandbox freezes afterwards. An exception passes with
    `acknowledge_account_events` too, because a function cannot both answer and raise.

        handler = lambda_handler(vitals, handler, webhook_path="/webhook")

    Args:
        vitals: the result of `chatvitals.init`.
        function: the handler, with the arguments event and context.
        webhook_path: the path that WhatsApp posts to. None treats every POST as a webhook.

    Raises:
        TypeError: `function` is not a plain function, or `vitals` is not the result of `chatvitals.init`.
        ValueError: `webhook_path` is not a fixed path that starts with `/`.

    """
    _arguments.check_vitals(vitals)
    _arguments.check_handler(function)
    if webhook_path is not None:
        _paths.spellings("webhook_path", webhook_path)

    @functools.wraps(function)
    def handler(event: Any, context: Any) -> Result:
        sink = vitals.webhook_sink
        observation: Observation | None = None
        with sink.guard("aws_lambda"):
            if _is_post(event, webhook_path):
                observation = observe(sink, _body(event), _headers(event))
        try:
            if observation is None:
                return function(event, context)
            with observation:
                return _judged(sink, observation, function(event, context))
        finally:
            with sink.guard("aws_lambda"):
                vitals.settle(_FLUSH_SECONDS)

    return handler


def _is_post(event: Any, webhook_path: str | None) -> bool:
    """Return whether an event is a POST on the webhook's path. Other events, such as those of a queue, are not."""
    if not isinstance(event, dict):
        return False
    asked = (event.get("requestContext") or {}).get("http") or {}
    method = event.get("httpMethod") or asked.get("method")
    path = event.get("rawPath") or event.get("path") or ""
    return method == "POST" and (webhook_path is None or path.rstrip("/").endswith(webhook_path.rstrip("/")))


def _body(event: dict[str, Any]) -> bytes | str:
    body: str = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body


def _headers(event: dict[str, Any]) -> dict[str, Any]:
    """Return the headers. A gateway's lists of values are preferred to its single values."""
    headers: dict[str, Any] = event.get("multiValueHeaders") or event.get("headers") or {}
    return headers


def _judged(sink: WebhookSink, observation: Observation, result: Result) -> Result:
    """Record the answer. Only an error for account events may become a 200."""
    with sink.guard("aws_lambda"):
        status = _status(result)
        if status in refusals.STATUSES:
            observation.reject()
        if sink.settings.acknowledge_account_events and status >= 400:
            webhook = observation._raw.webhook  # noqa: SLF001 - the bot needs no access to it
            if _http.about_account_only(webhook):
                answer: Any = {**cast("dict[str, Any]", result), "statusCode": 200}
                return cast("Result", answer)
    return result


def _status(result: Any) -> int:
    """Return the status of an answer, which gateways also take as text. Another result is an answer with 200."""
    status = result.get("statusCode") if isinstance(result, dict) else None
    return int(status) if isinstance(status, (int, str)) and str(status).isdecimal() else 200
