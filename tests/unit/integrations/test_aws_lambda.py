from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import context
from chatvitals.integrations import aws_lambda
from tests.conftest import SECRET, sign, webhook_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

BODY = webhook_body("393331234567", "wamid.1").decode()
SIGNATURE = sign(BODY.encode())
V1 = {"httpMethod": "POST", "path": "/prod/webhook", "headers": {"X-Hub-Signature-256": SIGNATURE}, "body": BODY}
LISTS = {**V1, "multiValueHeaders": {"X-Hub-Signature-256": [SIGNATURE]}, "headers": None}
V2 = {
    "version": "2.0",
    "rawPath": "/webhook",
    "requestContext": {"http": {"method": "POST", "path": "/webhook"}},
    "headers": {"x-hub-signature-256": SIGNATURE},
    "body": base64.b64encode(BODY.encode()).decode(),
    "isBase64Encoded": True,
}


def counted(vitals: Vitals) -> dict[str, float]:
    """Return the webhooks by result."""
    cells = vitals.store.cells().items()
    return {labels[0]: number for (name, labels, _), number in cells if name == "chatvitals_webhooks_total"}


@pytest.mark.parametrize("event", [V1, LISTS, V2], ids=["v1", "lists of values", "v2, base64"])
def test_each_form_of_events_is_read(start: Callable[..., Vitals], event: dict[str, Any]) -> None:
    """The contact is known in the function, and all is committed when it returns."""
    vitals = start(app_secret=SECRET)

    @vitals.lambda_handler
    def handler(event: Any, _: Any) -> dict[str, Any]:
        current = context.current()
        return {"statusCode": 200, "body": "" if current is None else current.wa_id}

    assert handler(event, None)["body"] == "393331234567"
    assert counted(vitals) == {"accepted": 1}


def test_a_refused_webhook_counts_as_rejected(start: Callable[..., Vitals]) -> None:
    """The function's status is its verdict."""
    vitals = start()
    handler = vitals.lambda_handler(lambda event, _: {"statusCode": 403})
    assert handler(V2, None) == {"statusCode": 403}
    assert counted(vitals) == {"rejected": 1}


@pytest.mark.parametrize("event", [{"Records": []}, None, [], {"httpMethod": "GET", "path": "/webhook"}])
def test_other_events_pass(start: Callable[..., Vitals], event: object) -> None:
    """Queues, schedules and the handshake bring no webhook."""
    vitals = start()
    assert vitals.lambda_handler(lambda event, _: event)(event, None) is event
    assert counted(vitals) == {}


def test_an_exception_passes_as_the_same_object(start: Callable[..., Vitals]) -> None:
    """The message counts nevertheless."""
    vitals, error = start(), LookupError("host")

    @vitals.lambda_handler
    def handler(event: Any, _: Any) -> None:
        raise error

    with pytest.raises(LookupError) as caught:
        handler(V1, None)
    assert caught.value is error
    assert counted(vitals) == {"accepted": 1}


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (None, r"takes the function with the arguments event and context, not 'NoneType'"),
        ("handler", r"not 'str': write @vitals.lambda_handler above it"),
        (asyncio.sleep, r"a plain function, because AWS Lambda does not await the result"),
    ],
)
def test_what_is_no_handler_is_refused(start: Callable[..., Vitals], function: Any, said: str) -> None:
    """At the start, and not with the first event."""
    with pytest.raises(TypeError, match=said):
        start().lambda_handler(function)


@pytest.mark.parametrize("path", ["webhook", 5, ""])
def test_a_path_that_matches_nothing_is_refused(start: Callable[..., Vitals], path: Any) -> None:
    """As every other integration does."""
    with pytest.raises(ValueError, match="webhook_path must be a fixed path that starts with '/'"):
        aws_lambda.lambda_handler(start(), lambda event, _: event, path)
