from __future__ import annotations

import contextvars
import email.message
import threading
from typing import TYPE_CHECKING, Any

import pytest
from starlette.exceptions import HTTPException

from chatvitals import context
from chatvitals.tracking.observation import Observation
from tests.conftest import SECRET, sign, webhook_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

BODY = webhook_body("393331234567", "wamid.1")
SIGNATURE = sign(BODY)


def message() -> email.message.Message:
    """Return headers as `http.server` has them."""
    made = email.message.Message()
    made["X-Hub-Signature-256"] = SIGNATURE
    return made


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Hub-Signature-256": SIGNATURE},
        {"x-hub-signature-256": SIGNATURE},
        [("X-Hub-Signature-256", SIGNATURE)],
        [(b"x-hub-signature-256", SIGNATURE.encode())],
        {b"X-Hub-Signature-256": SIGNATURE.encode()},
        {"X-Hub-Signature-256": [SIGNATURE]},
        {"HTTP_X_HUB_SIGNATURE_256": SIGNATURE, "wsgi.version": (1, 0), "wsgi.input": None},
        message(),
    ],
    ids=["mapping", "lower case", "pairs", "bytes", "mapping of bytes", "lists", "environ", "email"],
)
def test_77_each_form_of_headers_is_read(start: Callable[..., Vitals], headers: Any) -> None:
    """Servers, gateways and frameworks hand them over in all of these."""
    with start(app_secret=SECRET).observe_webhook(BODY, headers) as webhook:
        assert webhook.result == "accepted"


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Hub-Signature-256", SIGNATURE), ("x-hub-signature-256", SIGNATURE)],
        {"X-Hub-Signature-256": [SIGNATURE, SIGNATURE]},
        {"X-Hub-Signature-256": 7},
        None,
        {},
    ],
)
def test_77_no_form_of_headers_opens_the_door(start: Callable[..., Vitals], headers: Any) -> None:
    """Doubled and missing signatures never pass."""
    with start(app_secret=SECRET).observe_webhook(BODY, headers) as webhook:
        assert webhook.result in {"unsigned", "bad_signature"}


def test_77_a_body_of_text_is_encoded(start: Callable[..., Vitals]) -> None:
    """A gateway's events hold the body as text."""
    with start(app_secret=SECRET).observe_webhook(BODY.decode(), {"X-Hub-Signature-256": SIGNATURE}) as webhook:
        assert webhook.result == "accepted"


def test_77_a_parsed_body_is_refused_with_a_sentence(
    start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """Its signature could not be checked."""
    parsed: Any = {"entry": []}
    with start().observe_webhook(parsed) as webhook:
        assert webhook.result == "undecodable"
    assert "takes the raw body as bytes or text, not dict" in caplog.text


def counted(vitals: Vitals) -> dict[str, float]:
    """Return the webhooks by result."""
    vitals.settle()
    return {
        labels[0]: n for (name, labels, _), n in vitals.store.cells().items() if name == "chatvitals_webhooks_total"
    }


def test_78_a_webhook_that_the_bot_rejects_counts_as_rejected(start: Callable[..., Vitals]) -> None:
    """It opens no turn, and its contact is nobody's."""
    vitals = start()
    with vitals.observe_webhook(BODY) as webhook:
        webhook.reject()
        assert context.current() is None
    assert counted(vitals) == {"rejected": 1}


def test_78_an_exception_that_is_answered_so_rejects(start: Callable[..., Vitals]) -> None:
    """As `abort(403)` of Flask within the block. It passes."""
    vitals = start()
    error = HTTPException(403)
    with pytest.raises(HTTPException) as caught, vitals.observe_webhook(BODY):
        raise error
    assert caught.value is error
    assert counted(vitals) == {"rejected": 1}


def test_78_with_a_secret_the_signature_decides_alone(start: Callable[..., Vitals]) -> None:
    """As at the other doors."""
    vitals = start(app_secret=SECRET)
    with vitals.observe_webhook(BODY, {"X-Hub-Signature-256": SIGNATURE}) as webhook:
        webhook.reject()
    assert counted(vitals) == {"accepted": 1}


def test_a_webhook_counts_once_with_and_without_a_block(start: Callable[..., Vitals]) -> None:
    """Without a block it counts as soon as nobody holds it."""
    vitals = start()
    vitals.observe_webhook(BODY)
    assert counted(vitals) == {"accepted": 1}
    with vitals.observe_webhook(BODY):
        pass
    assert counted(vitals) == {"accepted": 2}


def test_a_webhook_counts_when_its_handler_raises(start: Callable[..., Vitals]) -> None:
    """The exception is the bot's, the customer's message is there."""
    vitals = start()
    with pytest.raises(LookupError), vitals.observe_webhook(BODY):
        raise LookupError
    assert counted(vitals) == {"accepted": 1}


def test_79_a_worker_that_a_webhook_started_is_not_the_first_customers(start: Callable[..., Vitals]) -> None:
    """It runs in the first webhook's context and goes on with the next."""
    vitals = start()
    known: list[str] = []
    steps = [threading.Event() for _ in range(2)]

    def work() -> None:
        for step in steps:
            assert step.wait(60)
            current = context.current()
            known.append("" if current is None else current.wa_id)
            done.release()

    done = threading.Semaphore(0)
    with vitals.observe_webhook(BODY):
        copied = contextvars.copy_context()
        worker = threading.Thread(target=copied.run, args=(work,))
        worker.start()
        steps[0].set()
        assert done.acquire(timeout=60)
    with vitals.observe_webhook(webhook_body("15550001111", "wamid.2")):
        steps[1].set()
        assert done.acquire(timeout=60)
    worker.join(60)
    assert known == ["393331234567", ""]


def test_79_a_task_of_one_webhook_keeps_its_contact(start: Callable[..., Vitals]) -> None:
    """It outlives its webhook, while others come in."""
    vitals = start()
    known: list[str] = []

    def answer() -> None:
        current = context.current()
        known.append("" if current is None else current.wa_id)

    with vitals.observe_webhook(BODY):
        copied = contextvars.copy_context()
    with vitals.observe_webhook(webhook_body("15550001111", "wamid.2")):
        pass
    thread = threading.Thread(target=copied.run, args=(answer,))
    thread.start()
    thread.join(60)
    assert known == ["393331234567"]


def test_79_ten_minutes_after_its_webhook_a_context_is_over(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pool or scheduler that the webhook started may live for days."""
    vitals = start()
    with vitals.observe_webhook(BODY):
        copied = contextvars.copy_context()
    with vitals.observe_webhook(BODY):
        pass
    assert copied.run(context.current) is not None
    monkeypatch.setattr("chatvitals.context._OUTLIVES", 0.0)
    assert copied.run(context.current) is None


def test_an_observation_that_was_interrupted_at_its_start_ends_without_noise() -> None:
    """A time limit may strike anywhere."""
    made = Observation.__new__(Observation)
    made.__del__()
