"""Requests that send a message are recognised, and their answers are read."""

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

from chatvitals.whatsapp import send_requests
from tests.helpers.send_bodies import ACCEPTED, NUMBER, PHONE, URL, USER, body, template

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Any  # the fake clock of conftest


def recognised(fields: dict[str, Any], url: str = URL) -> send_requests.Attempt:
    """Return the attempt that must be recognised."""
    attempt = send_requests.recognise("POST", url, fields)
    assert attempt is not None
    return attempt


# Recognising


@pytest.mark.parametrize("form", [json.dumps, lambda fields: json.dumps(fields).encode(), dict])
@pytest.mark.parametrize("product", ["WHATSAPP", "WhatsApp"])
def test_the_product_is_read_in_any_case(product: str, form: Callable[[Any], object]) -> None:
    """Meta writes its enumerations in either case, and takes them in any."""
    assert send_requests.recognise("POST", URL, form(body(messaging_product=product))) == recognised(body())
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
