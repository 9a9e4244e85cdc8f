"""Reports of a bot's code with wrong arguments: each counts as far as it can, and the log explains the mistake once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Poll, Reply
from chatvitals.metrics import catalogue
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item

if TYPE_CHECKING:
    from collections.abc import Callable

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
        f"{call}() could not tell which contact it is about. Pass contact= and phone_number_id=, and leave it out "
        in (caplog.text)
    )
    assert "such as statuses (no_contact). The bot is not affected" in caplog.text
