"""Webhooks are read when somebody needs what is in them, once, and what they say does not depend on when."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals import context
from chatvitals.context import ContactIds, Handling
from chatvitals.events import Message, Webhook
from chatvitals.metrics import catalogue
from chatvitals.pipeline.raw_webhook import RawWebhook
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item
from tests.helpers.recorded_events import webhook as hook

if TYPE_CHECKING:
    from collections.abc import Callable

ADA = ContactIds("1", "15550001", "")


class Reader:
    """Reads a body of one letter per message, and counts how often."""

    def __init__(self, result: str = "accepted") -> None:
        self.calls = 0
        self.result = result
        self.before: Callable[[], object] = int

    def __call__(self, body: bytes, signature: str | None, received: float) -> Webhook:
        """Read."""
        self.calls += 1
        self.before()
        events = [Message(phone_number_id="1", wa_id="15550001", id=f"{i}", type="text") for i in range(len(body))]
        return Webhook(result=self.result, received=received, events=events)  # type: ignore[arg-type]


def unread(reader: Reader, body: bytes = b"ab") -> RawWebhook:
    return RawWebhook(reader, body, None, 12.0)


def test_it_is_read_once_and_only_when_asked() -> None:
    """The first reader decodes the webhook. The contacts come from the same reading."""
    reader = Reader()
    webhook = unread(reader)
    assert (reader.calls, webhook.received) == (0, 12.0)
    assert webhook.contacts == (ADA,)
    assert webhook.contacts is webhook.contacts
    assert [event.id for event in webhook.webhook.events if isinstance(event, Message)] == ["0", "1"]
    assert reader.calls == 1


def test_two_threads_that_read_at_once_find_the_same() -> None:
    """The second one neither waits nor sees a body that is gone."""
    reader, both = Reader(), threading.Barrier(2, timeout=60)
    reader.before = both.wait
    webhook = unread(reader)
    found: list[tuple[ContactIds, ...]] = []
    threads = [threading.Thread(target=lambda: found.append(webhook.contacts)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [(ADA,), (ADA,)]
    assert webhook.contacts == (ADA,)
    assert reader.calls == 2


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("result", "counted"), [("accepted", "rejected"), ("undecodable", "undecodable"), ("unsigned", "unsigned")]
)
def test_what_the_application_disowned_names_nobody(result: str, counted: str, early: bool) -> None:  # noqa: FBT001
    """Also where a send of the handler had asked before. What is wrong anyway stays what it is."""
    webhook = unread(Reader(result), b"" if result != "accepted" else b"ab")
    if early:
        assert webhook.webhook.result == result
    webhook.rejected = True
    assert webhook.webhook.result == counted
    assert webhook.contacts == ()


def test_a_handling_asks_its_source_each_time() -> None:
    """So that contacts are looked up by the first send, and not before."""
    reader = Reader()
    handling = Handling()
    with context.bound(handling):
        assert context.current() is None
        handling.source = unread(reader, b"a")
        assert reader.calls == 0
        assert context.current() == ADA
        assert reader.calls == 1


def test_the_weight_in_the_queue_grows_with_the_body() -> None:
    """A batch of a thousand messages is not one event."""
    receive = ListeningVitals().webhook_sink.receive
    assert receive(b"a", None).weight == 1
    assert receive(b"a" * 300_000, None).weight > 100


def test_a_webhook_that_shows_in_a_traceback_keeps_its_body_to_itself() -> None:
    """Bodies hold the text of messages and the phone numbers of persons."""
    assert "hello" not in repr(unread(Reader(), b"hello"))


def test_what_a_full_queue_drops_is_counted_exactly() -> None:
    """The oldest webhook goes, with each message in it. What is left is measured."""
    vitals = ListeningVitals(queue_size=3)
    reader = Reader()
    for body in (b"abc", b"d", b"e", b"f"):
        vitals._emit(unread(reader, body))
    assert reader.calls == 0  # nothing is read on the bot's path
    vitals.settle()
    assert vitals.total(catalogue.EVENTS_DROPPED, "queue_full") == 3
    assert reader.calls == 4


def test_a_webhook_is_read_by_whoever_commits_it() -> None:
    """The door takes the bytes in and nothing more."""
    vitals = ListeningVitals()
    taken = vitals.webhook_sink.receive(json.dumps(hook(item())).encode(), None)
    vitals._emit(taken)
    assert taken._webhook is None
    vitals.settle()
    assert taken.contacts == (ContactIds(NUMBER, PHONE, ""),)
    assert vitals.total(catalogue.MESSAGES_RECEIVED, "text") == 1
