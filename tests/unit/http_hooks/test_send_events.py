"""Each send through a hooked client becomes one event with its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest

from chatvitals import context
from chatvitals.context import ContactIds, Handling, Tag
from chatvitals.http_hooks import SendObserver
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.whatsapp import send_requests
from tests.helpers.send_bodies import ACCEPTED, MARKETING, NUMBER, OTHER_ACCEPTED, PHONE, URL, USER, body, template

if TYPE_CHECKING:
    from chatvitals.events import Send

    Clock = Any  # the fake clock of conftest


class Seen:
    """An observer and the events that it emitted."""

    def __init__(self, clock: Clock) -> None:
        self.events: list[Send] = []
        self.clock = clock
        self.observer = SendObserver(self.events.append, ErrorGuard(), clock, "1")

    def send(self, fields: dict[str, Any], url: str = URL, status: int = 200, content: bytes | None = ACCEPTED) -> Send:
        """Return the event of one send."""
        pending = self.observer.begin("POST", url, fields)
        assert pending is not None
        pending.finish(status, content)
        return self.events[-1]


@pytest.fixture
def seen(clock: Clock) -> Seen:
    """An observer whose default number is 1, on a clock that stands still."""
    return Seen(clock)


def handling(phone: str = PHONE, number: str = NUMBER) -> Any:
    """Bind a contact whose message is being handled."""
    return context.bound(Handling((ContactIds(number, phone, USER),)))


def test_an_accepted_send_is_a_whole_event(seen: Seen) -> None:
    """Number, person, id, kind, moment and duration are in it."""
    began = seen.clock()
    pending = seen.observer.begin("POST", URL, body())
    assert pending is not None
    seen.clock.advance(0.25)
    pending.finish(200, ACCEPTED)
    (event,) = seen.events
    assert (event.phone_number_id, event.wa_id, event.user_id, event.id) == (NUMBER, PHONE, "", "wamid.one")
    assert (event.kind, event.accepted, event.code, event.actor, event.tagged) == ("reply", True, "", "bot", False)
    assert (event.received, event.seconds) == (began + 0.25, 0.25)


def test_a_clock_set_back_gives_no_negative_duration(seen: Seen) -> None:
    """The duration is 0 then."""
    pending = seen.observer.begin("POST", URL, body())
    assert pending is not None
    seen.clock.advance(-5)
    pending.finish(200, ACCEPTED)
    assert seen.events[0].seconds == 0.0


@pytest.mark.parametrize(
    ("fields", "url", "kind"),
    [
        (body(), URL, "reply"),
        (body(type="image"), URL, "reply"),
        (body(type="interactive"), URL, "reply"),
        (body(type="reaction"), URL, "other"),
        (body(type=None, to=None, status="read", message_id="wamid.in"), URL, "other"),
        (body(type=None, to=None, status="read", typing_indicator={"type": "text"}), URL, "other"),
        (template(), URL, "campaign"),
        (template(), MARKETING, "campaign"),
    ],
)
def test_the_kind_follows_from_the_body(seen: Seen, fields: dict[str, Any], url: str, kind: str) -> None:
    """The kind of a send outside any context and without a tag (conversations/README.md 2)."""
    assert seen.send(fields, url).kind == kind


def test_a_template_for_the_contact_being_handled_is_a_reply(seen: Seen) -> None:
    """The same template to somebody else is a campaign, and so is one to the marketing endpoint."""
    with handling():
        assert seen.send(template()).kind == "reply"
        assert seen.send(template(to="15550009999"), content=OTHER_ACCEPTED).kind == "campaign"
        assert seen.send(template(), MARKETING).kind == "campaign"


def test_the_kind_is_decided_after_the_answer_is_in(seen: Seen) -> None:
    """`to` may spell the number of the contact being handled another way. Only the answer names the contact."""
    content = f'{{"contacts": [{{"wa_id": "{PHONE}"}}], "messages": [{{"id": "wamid.m"}}]}}'.encode()
    with handling():
        assert seen.send(template(to="0015550009999"), content=content).kind == "reply"


def test_the_context_counts_where_the_call_begins(seen: Seen) -> None:
    """A call that ends in another context, as callbacks do, keeps the kind of its caller."""
    with handling():
        pending = seen.observer.begin("POST", URL, template())
    assert pending is not None
    pending.finish(200, ACCEPTED)
    assert seen.events[0].kind == "reply"


@pytest.mark.parametrize(
    ("kind", "fields", "url", "expected"),
    [
        ("reply", template(), URL, ("reply", True)),
        ("campaign", body(), URL, ("campaign", True)),
        ("reply", body(), URL, ("reply", True)),
        ("reply", template(), MARKETING, ("reply", True)),
        ("notice", body(), URL, ("notice", True)),
        ("reply", body(type="reaction"), URL, ("other", False)),
        ("campaign", body(status="read"), URL, ("other", False)),
    ],
)
def test_a_tag_decides_between_reply_and_campaign_only(
    seen: Seen, kind: Any, fields: dict[str, Any], url: str, expected: tuple[str, bool]
) -> None:
    """A reaction or a read mark is no answer. A send to the marketing endpoint is no reply."""
    with context.tagged(Tag(kind)):
        event = seen.send(fields, url)
    assert (event.kind, event.tagged) == expected


def test_a_tag_may_name_the_actor_alone(seen: Seen) -> None:
    """A person's send through the API is a person's. Its kind is still detected."""
    with context.tagged(Tag(None, "human")):
        event = seen.send(template())
    assert (event.kind, event.tagged, event.actor) == ("campaign", False, "human")


def test_an_address_without_a_number_takes_the_contact_s_or_the_default(seen: Seen) -> None:
    """Some partners' addresses name no number."""
    bare = "https://waba-v2.example/messages"
    assert seen.send(body(), bare).phone_number_id == "1"
    with handling():
        assert seen.send(body(), bare).phone_number_id == NUMBER
        assert seen.send(body(to="15550009999"), bare, content=OTHER_ACCEPTED).phone_number_id == "1"
        assert seen.send(body(type=None, to=None, status="read"), bare).phone_number_id == NUMBER


def test_the_answer_names_the_person_as_webhooks_do(seen: Seen) -> None:
    """A number dialled in another spelling, or only by its business-scoped id, is still the same contact."""
    content = b'{"contacts": [{"wa_id": "5215550004321", "user_id": "MX.7"}], "messages": [{"id": "wamid.m"}]}'
    event = seen.send(body(to="+52 555 000 4321"), content=content)
    assert (event.wa_id, event.user_id) == ("5215550004321", "MX.7")


def test_a_group_is_counted_and_is_no_contact(seen: Seen) -> None:
    """Whatever the answer says about it. Its id joins the send with the statuses of its message."""
    event = seen.send(body(recipient_type="group", to="120363"))
    assert (event.kind, event.id, event.wa_id, event.user_id) == ("reply", "wamid.one", "120363", "")


def test_a_pin_is_no_reply(seen: Seen) -> None:
    """It marks a message of a group, and adds none."""
    pin = {"type": "pin", "message_id": "wamid.m", "expiration_days": 7}
    assert seen.send(body(recipient_type="group", to="120363", type="pin", pin=pin)).kind == "other"


@pytest.mark.parametrize(
    ("status", "content", "code"),
    [
        (400, b'{"error": {"code": 131047}}', "131047"),
        (502, b"<html>", "502"),
        (302, None, "302"),
        (401, b'{"error": {"code": null}}', "401"),
    ],
)
def test_a_rejected_send_has_meta_s_code_or_the_status(
    seen: Seen, status: int, content: bytes | None, code: str
) -> None:
    """And no message id."""
    event = seen.send(body(), status=status, content=content)
    assert (event.accepted, event.code, event.id, event.wa_id) == (False, code, "", PHONE)


def test_an_exception_that_stands_for_an_answer_has_its_status(seen: Seen) -> None:
    """Clients that raise for a status, in a hook or by a setting, count as the answer that they had."""
    request = httpx.Request("POST", URL)
    for error in (
        httpx.HTTPStatusError("", request=request, response=httpx.Response(429)),
        aiohttp.ClientResponseError(request_info=None, history=(), status=429),  # type: ignore[arg-type]
    ):
        pending = seen.observer.begin("POST", URL, body())
        assert pending is not None
        pending.failed(error)
        assert (seen.events[-1].accepted, seen.events[-1].code) == (False, "429")


def test_only_the_first_end_counts(seen: Seen) -> None:
    """A send that is finished twice, or fails after its answer, is one send."""
    pending = seen.observer.begin("POST", URL, body())
    assert pending is not None
    pending.finish(200, ACCEPTED)
    pending.finish(500, None)
    pending.failed(RuntimeError())
    assert [event.id for event in seen.events] == ["wamid.one"]


def test_an_error_inside_is_counted_and_not_raised(seen: Seen, swallowed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin gives None, and an end gives nothing, when our own code breaks."""
    pending = seen.observer.begin("POST", URL, body())
    assert pending is not None
    monkeypatch.setattr(send_requests, "recognise", _broken)
    monkeypatch.setattr(send_requests, "read_answer", _broken)
    monkeypatch.setattr(send_requests, "http_status", _broken)
    assert seen.observer.begin("POST", URL, body()) is None
    pending.finish(200, ACCEPTED)
    pending.failed(RuntimeError())
    assert seen.events == []
    assert len(swallowed.take("clients")) == 3


def _broken(*_: object) -> Any:
    raise ZeroDivisionError
