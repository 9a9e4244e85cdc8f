from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from chatvitals import context
from chatvitals.context import ContactIds, Handling, Tag
from chatvitals.http_hooks import SendObserver
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.events import Send

    Clock = Any  # the fake clock of conftest

NUMBER = "990005556667778"
URL = f"https://graph.example/v24.0/{NUMBER}/messages"
MARKETING = f"https://graph.example/v24.0/{NUMBER}/marketing_messages"
PHONE = "15550004321"
USER = "US.90000000000000000001"
OTHER_ACCEPTED = b'{"messages": [{"id": "wamid.other"}]}'
ACCEPTED = json.dumps(
    {
        "messaging_product": "whatsapp",
        "contacts": [{"input": PHONE, "wa_id": PHONE}],
        "messages": [{"id": "wamid.one"}],
    }
).encode()


def body(**more: Any) -> dict[str, Any]:
    """Return the body of a text message. Keywords replace or add fields, None takes them away."""
    fields = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}} | more
    return {name: value for name, value in fields.items() if value is not None}


def template(**more: Any) -> dict[str, Any]:
    """Return the body of a template message."""
    return body(type="template", text=None, template={"name": "promo", "language": {"code": "it"}}, **more)


def recognised(fields: dict[str, Any], url: str = URL) -> send_requests.Attempt:
    """Return the attempt that must be recognised."""
    attempt = send_requests.recognise("POST", url, fields)
    assert attempt is not None
    return attempt


# Recognising


@pytest.mark.parametrize("form", [json.dumps, lambda fields: json.dumps(fields).encode(), dict])
def test_the_product_is_read_in_capitals_too(form: Callable[[Any], object]) -> None:
    """Meta writes its enumerations in either case."""
    assert send_requests.recognise("POST", URL, form(body(messaging_product="WHATSAPP"))) == recognised(body())
    assert send_requests.recognise("POST", URL, form(body(messaging_product="INSTAGRAM"))) is None


@pytest.mark.parametrize(
    "error", [{"error": [{"code": 470}]}, {"errors": [{"code": 470}]}, {"errors": {"code": "470"}}]
)
def test_an_error_in_a_list_keeps_its_code(error: dict[str, Any]) -> None:
    """Proxies of partners answer so."""
    assert send_requests.read_answer(json.dumps(error).encode()) == send_requests.SendAnswer(code="470")


def test_a_body_that_the_bot_has_packed_is_recognised() -> None:
    """Some bots pack their requests. A damaged, endless or foreign body is no send."""
    packed = gzip.compress(json.dumps(body()).encode())
    assert send_requests.recognise("POST", URL, packed) == recognised(body())
    assert send_requests.recognise("POST", URL, bytearray(packed)) == recognised(body())
    endless = gzip.compress(json.dumps(body(text={"body": " " * 2 * send_requests.MAX_BYTES})).encode())
    for nothing in (packed[:-20], b"\x1f\x8b" + packed, endless, gzip.compress(b"{}")):
        assert send_requests.recognise("POST", URL, nothing) is None


@pytest.mark.parametrize("user", [USER, "US.ENT.90000000000000000077", "user.9373795779eb6441c8ad"])
def test_a_business_scoped_id_is_no_phone_number_in_either_place(user: str) -> None:
    """An id of linked portfolios is one, and so is the form of Meta's first pages, which has letters and digits."""
    for fields in (body(to=user), body(to=None, recipient=user)):
        attempt = recognised(fields)
        assert (attempt.phone, attempt.user) == ("", user)


@pytest.mark.parametrize("form", [json.dumps, lambda fields: json.dumps(fields).encode(), dict])
def test_a_body_in_memory_is_recognised(form: Callable[[Any], object]) -> None:
    """Text, bytes and a dict that becomes JSON say the same."""
    assert send_requests.recognise("POST", URL, form(body())) == send_requests.Attempt(
        NUMBER, PHONE, "", "text", "", "", False, False
    )


@pytest.mark.parametrize(
    ("url", "number"),
    [
        (f"/v24.0/{NUMBER}/messages", NUMBER),
        (f"http://127.0.0.1:8080/{NUMBER}/messages/?access_token=secret", NUMBER),
        (f"https://proxy.example/meta/whatsapp/v24.0/{NUMBER}/messages#top", NUMBER),
        ("https://waba-v2.example/messages", ""),
        ("https://waba.example/v1/messages", ""),
        ("messages", ""),
    ],
)
def test_any_host_and_prefix_will_do(url: str, number: str) -> None:
    """The last segment of the path decides, and an all-digit segment before it is the business number."""
    assert recognised(body(), url).number == number


@pytest.mark.parametrize(
    ("method", "url", "content"),
    [
        ("GET", URL, body()),
        ("POST", f"https://graph.example/v24.0/{NUMBER}/media", body()),
        ("POST", "https://example.com/?next=/messages", body()),
        ("POST", "", body()),
        ("POST", URL, None),
        ("POST", URL, {"recipient": {"id": "1"}, "message": {"text": "another messenger"}}),
        ("POST", URL, b'{"messaging_product": "sms"}'),
        ("POST", URL, b'the word "whatsapp" in no JSON'),
        ("POST", URL, b'["whatsapp"]'),
        ("POST", URL, b'\xff"whatsapp"'),
        ("POST", URL, '{"a": "whatsapp", "b": ' + "[" * 100_000),
        ("POST", URL, json.dumps(body(text="x" * 2_000_000))),
        ("POST", URL, json.dumps(body(text="x" * 2_000_000)).encode()),
        ("POST", URL, f"messaging_product=sms&to={PHONE}&text=whatsapp"),
        ("POST", URL, "whatsapp=" + "&a=1" * 1000),
        ("POST", URL, b"\xff=whatsapp&messaging_product=whatsapp"),
        ("POST", URL, [body()]),
        ("POST", URL, iter([b"a stream"])),
    ],
)
def test_other_requests_are_none(method: str, url: str, content: object) -> None:
    """A POST to the endpoint without JSON of the WhatsApp API is ignored, without an error."""
    assert send_requests.recognise(method, url, content) is None


def test_a_form_is_a_send() -> None:
    """The Graph API takes forms, with JSON text in the place of objects."""
    form = {"messaging_product": "whatsapp", "to": PHONE, "type": "template"}
    template = json.dumps({"name": "menu", "language": {"code": "it"}})
    for content in (urlencode({**form, "template": template}), urlencode({**form, "template": template}).encode()):
        attempt = send_requests.recognise("POST", URL, content)
        assert attempt is not None
        assert (attempt.phone, attempt.type, attempt.template, attempt.language) == (PHONE, "template", "menu", "it")


@pytest.mark.parametrize("name", ["status", "typing_indicator"])
def test_an_empty_mark_is_no_mark(name: str) -> None:
    """Clients with models write the fields that they do not use as null."""
    assert not recognised({**body(), name: None}).mark


def test_other_traffic_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address or a body that cannot be a send's costs no parsing."""
    monkeypatch.setattr(send_requests, "_decoded", pytest.fail)
    assert send_requests.recognise("POST", "https://example.com/orders", json.dumps(body()).encode()) is None
    assert send_requests.recognise("POST", URL, b'{"text": "a message to another service"}') is None


@pytest.mark.parametrize("text", ["\ud83d", float("nan")])
def test_what_the_bot_s_encoder_writes_is_read(text: object) -> None:
    """JSON that only Python's own encoder and decoder agree on is recognised too."""
    assert send_requests.recognise("POST", URL, json.dumps(body(text=text)).encode()) is not None


@pytest.mark.parametrize(
    ("fields", "phone", "user"),
    [
        ({"to": "+1 555 000-4321"}, PHONE, ""),
        ({"to": 15550004321}, PHONE, ""),
        ({"to": None, "recipient": USER}, "", USER),
        ({"to": PHONE, "recipient": USER}, PHONE, USER),
        ({"to": USER}, "", USER),
        ({"to": "a group", "recipient_type": "group"}, "", ""),
        ({"to": ["many"]}, "", ""),
        ({"to": True}, "", ""),
    ],
)
def test_the_recipient_is_a_phone_or_a_user(fields: dict[str, Any], phone: str, user: str) -> None:
    """Phones are digits as in webhooks, business-scoped ids are users wherever they stand, groups are no contact."""
    attempt = recognised(body(**fields))
    assert (attempt.phone, attempt.user) == (phone, user)


def test_a_template_has_a_name_and_a_language() -> None:
    """Both are read, in the form that the API documents."""
    attempt = recognised(template())
    assert (attempt.type, attempt.template, attempt.language) == ("template", "promo", "it")


@pytest.mark.parametrize("odd", ["promo", {"name": 3, "language": "it"}, {}, [1], None])
def test_an_odd_template_is_no_error(odd: object) -> None:
    """A template in another form is a template without what it does not say."""
    assert recognised(body(type="template", template=odd)).language == ""


@pytest.mark.parametrize(("fields", "expected"), [({}, "text"), ({"template": {"name": "x"}}, "template")])
def test_a_body_without_a_type_has_the_api_s_default(fields: dict[str, Any], expected: str) -> None:
    """`type` may be left out for text. A template shows itself."""
    assert recognised(body(type=None, **fields)).type == expected


# Answers


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (ACCEPTED, send_requests.SendAnswer("wamid.one", PHONE)),
        (
            b'{"contacts": [{"user_id": "US.9"}], "messages": [{"id": "wamid.2"}]}',
            send_requests.SendAnswer("wamid.2", user="US.9"),
        ),
        (b'{"contacts": {"user_id": "US.9"}, "messages": {"id": "wamid.2"}}',
         send_requests.SendAnswer("wamid.2", user="US.9")),
        (b'{"error": {"code": 131056, "message": "too fast"}}', send_requests.SendAnswer(code="131056")),
        (b'{"error": {"code": "131056"}}', send_requests.SendAnswer(code="131056")),
        (b'{"error": {"code": "<script>"}}', send_requests.SendAnswer()),
        (b'{"error": "no"}', send_requests.SendAnswer()),
        (b'{"success": true}', send_requests.SendAnswer()),
        (b'{"messages": [], "contacts": {}}', send_requests.SendAnswer()),
        (b'{"messages": ["wamid"], "contacts": [7]}', send_requests.SendAnswer()),
        (b"<html>Bad gateway</html>", send_requests.SendAnswer()),
        (b"[1]", send_requests.SendAnswer()),
        (b"", send_requests.SendAnswer()),
        (b"\xff", send_requests.SendAnswer()),
        (b" " * 2_000_000, send_requests.SendAnswer()),
        (None, send_requests.SendAnswer()),
    ],
)  # fmt: skip
def test_an_answer_says_what_it_can(content: bytes | None, answer: send_requests.SendAnswer) -> None:
    """Ids and code are read where they are. Any other body says nothing."""
    assert send_requests.read_answer(content) == answer


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (TimeoutError(), "timeout"),
        (httpx.ReadTimeout(""), "timeout"),
        (httpx.PoolTimeout(""), "timeout"),
        (requests.ConnectTimeout(), "timeout"),
        (requests.ReadTimeout(), "timeout"),
        (aiohttp.ServerTimeoutError(), "timeout"),
        (ConnectionResetError(), "connection"),
        (httpx.ConnectError(""), "connection"),
        (httpx.RemoteProtocolError(""), "connection"),
        (requests.ConnectionError(), "connection"),
        (aiohttp.ServerDisconnectedError(), "connection"),
        (aiohttp.ClientPayloadError(), "connection"),
        (NewConnectionError(None, ""), "connection"),  # type: ignore[arg-type]  # of no pool
        (MaxRetryError(None, "", NewConnectionError(None, "")), "connection"),  # type: ignore[arg-type]  # as above
        (MaxRetryError(None, "", ReadTimeoutError(None, "", "")), "timeout"),  # type: ignore[arg-type]  # as above
        (MaxRetryError(None, "", None), "error"),  # type: ignore[arg-type]  # as above
        (socket.gaierror(), "connection"),
        (ssl.SSLError(), "connection"),
        (http.client.IncompleteRead(b""), "connection"),
        (KeyboardInterrupt(), "cancelled"),
        (httpx.UnsupportedProtocol(""), "error"),
        (requests.exceptions.InvalidURL(), "error"),
        (RuntimeError("closed"), "error"),
    ],
)
def test_an_exception_has_one_of_four_names(error: BaseException, name: str) -> None:
    """The clients' many exceptions become timeout, connection, cancelled or error."""
    assert send_requests.transport_error(error) == name


# Events


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
