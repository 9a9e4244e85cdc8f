"""Reports of a bot's code with wrong arguments: each counts as far as it can, and the log explains the mistake once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Poll, Reply
from chatvitals.metrics import catalogue
from tests.conftest import webhook_body
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

WHO: dict[str, Any] = {"contact": PHONE, "phone_number_id": NUMBER}


def asked() -> ListeningVitals:
    """Return a Vitals with a customer that waits."""
    vitals = ListeningVitals()
    with vitals.receive(item(PHONE)):
        pass
    vitals.time.advance(2)
    return vitals


def answered(vitals: ListeningVitals) -> int:
    vitals.later(60)
    return int(vitals.total(catalogue.TURNS, "answered"))


@pytest.mark.parametrize("actor", ["person", "", 5, ["bot"], b"bot"])
def test_a_reply_of_an_unknown_actor_is_the_bots(actor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The customer has the answer, whoever gave it."""
    vitals = asked()
    for _ in range(2):
        vitals.record_reply(**WHO, actor=actor)
    assert [reply.actor for reply in vitals.heard(Reply)] == ["bot", "bot"]
    assert (answered(vitals), vitals.problems("record_reply")) == (1, 2)
    assert caplog.text.count("record_reply() got the unknown actor") == 1
    assert "It takes bot, human." in caplog.text


@pytest.mark.parametrize("message_id", [None, 5, b"wamid.1", ["wamid.1"], {"id": "wamid.1"}])
def test_a_reply_with_an_id_of_another_type_counts(message_id: Any) -> None:
    """Only the connection with its statuses is lost."""
    vitals = asked()
    vitals.record_reply(**WHO, message_id=message_id)
    assert answered(vitals) == 1


@pytest.mark.parametrize("poll", [None, {}, "numbers", Poll])
def test_a_poll_of_another_type_is_explained(poll: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The rows of an answer are easily passed as they are."""
    vitals = ListeningVitals()
    vitals.record_poll(poll)
    assert (vitals.events, vitals.problems("record_poll")) == ([], 1)
    assert f"record_poll() takes a chatvitals.Poll, not {type(poll).__name__!r}." in caplog.text


@pytest.mark.parametrize("call", ["handover", "fallback", "dismiss", "resolve", "record_reply"])
def test_the_log_says_what_to_do_where_no_contact_is_known(call: str, caplog: pytest.LogCaptureFixture) -> None:
    """Such as in a thread that a webhook with statuses started."""
    vitals = ListeningVitals()
    report: Callable[[], None] = getattr(vitals, call)
    report()
    assert (
        f"{call}() could not tell which contact it is about. Pass contact= and phone_number_id=. A webhook without "
        in caplog.text
    )
    assert "such as a status, needs no call (no_contact). The bot is not affected" in caplog.text


@pytest.mark.parametrize("timeout", ["5", None, [], True])
def test_a_wrong_timeout_is_explained_and_everything_is_committed(
    timeout: Any, start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A job of the bot ends with this call, and must not fail on it."""
    vitals = start()
    vitals.observe_webhook(webhook_body("393331234567", "wamid.1"))
    vitals.settle(timeout)
    assert f"settle() takes a number of seconds, not {timeout!r}, and waits 5 s." in caplog.text
    assert [name for name, _, _ in vitals.store.cells() if name == "chatvitals_webhooks_total"]


def test_a_request_of_another_kind_is_answered_with_a_sentence(start: Callable[..., Vitals]) -> None:
    """`metrics_response` never raises into the bot's server."""
    request: Any = {"method": "GET"}
    status, headers, body = start().metrics_response(request)
    assert (status, headers["Content-Type"]) == (500, "text/plain; charset=utf-8")
    assert body == b"metrics_response() takes a MetricsRequest, not 'dict'.\n"


@pytest.mark.parametrize("bare", ["handler", "step"])
def test_a_decorator_without_its_name_says_so(bare: str, start: Callable[..., Vitals]) -> None:
    """`@vitals.handler` without parentheses gets the function as its name."""
    vitals = start()
    order = vitals.journey("order", steps=["menu", "paid"])
    decorators: dict[str, Any] = {"handler": vitals.handler, "step": order.step}
    with pytest.raises(ValueError, match="is missing: write"):
        decorators[bare](len)
