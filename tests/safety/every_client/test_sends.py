"""The same sends through every client: each counts once, with the same facts, and the bot's call is as bare.

What a client decides by itself and what therefore differs:

- http.client follows no redirect. urllib.request follows 301, 302 and 303 with a GET, after the send has been answered.
- `putrequest` of http.client and a body that can be read only once are not read. Statuses count.
- A call in a batch request (`batch=`) has no endpoint of its own in the address. Statuses count.
"""

from __future__ import annotations

import gzip
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from tests.helpers.answering_api import (
    ACCEPTED,
    FORM,
    MARK,
    NUMBER,
    PATH,
    RAW,
    TEMPLATE,
    TEXT,
    Api,
    Fact,
    as_bare,
    facts,
)
from tests.helpers.every_client import CLIENTS, FOLLOW_NO_REDIRECT, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.ear import Ear


class Derived(dict[str, Any]):
    """A body of the bot's own class."""


ADDRESSES: dict[str, tuple[str, list[Fact]]] = {
    "usual": (PATH, [Fact()]),
    "no version": (f"/{NUMBER}/messages", [Fact()]),
    "gateway": (f"/meta/whatsapp/v24.0/{NUMBER}/messages", [Fact()]),
    "360dialog": ("/messages", [Fact(number="")]),
    "on-premises": ("/v1/messages", [Fact(number="")]),
    "query": (f"{PATH}?access_token=x&next=/media", [Fact()]),
    "fragment": (f"{PATH}#top", [Fact()]),
    "slash at the end": (f"{PATH}/", [Fact()]),
    "doubled slashes": (f"//v24.0//{NUMBER}//messages", [Fact()]),
    "marketing messages": (f"/v24.0/{NUMBER}/marketing_messages", [Fact(kind="campaign")]),
    "media": (f"/v24.0/{NUMBER}/media", []),
    "a batch": ("/v24.0/", []),
}
BODIES: dict[str, tuple[dict[str, Any], list[Fact]]] = {
    "a derived dict": ({"json": Derived(TEXT)}, [Fact()]),
    "an ordered dict": ({"json": OrderedDict(TEXT)}, [Fact()]),
    "bytes": ({"raw": RAW}, [Fact()]),
    "bytes with a BOM": ({"raw": b"\xef\xbb\xbf" + RAW}, [Fact()]),
    "indented": ({"raw": json.dumps(TEXT, indent=2).encode()}, [Fact()]),
    "as text/plain": ({"raw": RAW, "headers": {"Content-Type": "text/plain"}}, [Fact()]),
    "a form": ({"form": FORM}, [Fact()]),
    "compressed": ({"raw": gzip.compress(RAW), "headers": {"Content-Encoding": "gzip"}}, [Fact()]),
    "a template": ({"json": TEMPLATE}, [Fact(kind="campaign", template="menu")]),
    "a template in a form": (
        {"form": {**TEMPLATE, "template": json.dumps(TEMPLATE["template"])}},
        [Fact(kind="campaign", template="menu")],
    ),
    "a reaction": ({"json": {**TEXT, "type": "reaction"}}, [Fact(kind="other")]),
    "a flow": ({"json": {**TEXT, "type": "interactive", "interactive": {"type": "flow"}}}, [Fact()]),
    "to a group": ({"json": {**TEXT, "recipient_type": "group", "to": "the-group"}}, [Fact(phone="the-group")]),
    "with callback data": ({"json": {**TEXT, "biz_opaque_callback_data": "x" * 500}}, [Fact()]),
    "without a type": ({"json": {**TEXT, "type": None}}, [Fact()]),
    "a read mark": ({"json": MARK}, [Fact(phone="", kind="other")]),
    "typing": ({"json": {**MARK, "typing_indicator": {"type": "text"}}}, [Fact(phone="", kind="other")]),
    "of another product": ({"json": {**TEXT, "messaging_product": None}}, []),
}
ENDINGS: dict[str, Fact] = {
    "chunks": Fact(),
    "gzip": Fact(),
    "deflate": Fact(),
    "gzip, refused": Fact(id="", code="131047"),
    "refused": Fact(id="", code="131047"),
    "refused with 200": Fact(id="", code="131047"),
    "HTML": Fact(id="", code="502"),
    "HTML with 200": Fact(id=""),
    "empty": Fact(id=""),
    "no content": Fact(id=""),
    "BOM": Fact(),
    "UTF-16": Fact(),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_44_an_address_means_the_same_through_every_client(api: Api, ear: Ear, client: str, address: str) -> None:
    """Any host and prefix will do. The end of the path decides."""
    path, expected = ADDRESSES[address]
    body = TEMPLATE if "marketing" in address else TEXT
    named = [fact._replace(template="menu") if body is TEMPLATE else fact for fact in expected]
    url = f"http://127.0.0.1:{api.port}{path}"
    assert as_bare(api, ear, lambda: CLIENTS[client](url, json=body, headers={})) == (200, ACCEPTED)
    assert facts(ear) == named


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("body", BODIES)
def test_44_a_body_means_the_same_through_every_client(api: Api, ear: Ear, client: str, body: str) -> None:
    """In whichever form the client takes it."""
    options, expected = BODIES[body]
    url = f"http://127.0.0.1:{api.port}{PATH}"
    assert as_bare(api, ear, lambda: CLIENTS[client](url, **{"headers": {}, **options})) == (200, ACCEPTED)
    assert facts(ear) == expected


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_44_an_answer_means_the_same_through_every_client(api: Api, ear: Ear, client: str, ending: str) -> None:
    """Also where the bot reads it late or unpacks it itself."""
    url = f"http://127.0.0.1:{api.port}{PATH}"
    as_bare(api, ear, lambda: CLIENTS[client](url, json=TEXT, headers={"x-answer": ending}))
    assert facts(ear) == [ENDINGS[ending]]


@pytest.mark.parametrize("follows", [True, False])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("client", CLIENTS)
def test_44_a_redirect_means_the_same_through_every_client(
    api: Api,
    ear: Ear,
    client: str,
    status: int,
    follows: bool,  # noqa: FBT001 - a parameter
) -> None:
    """A send ends with the last answer that its client gets."""
    url = f"http://127.0.0.1:{api.port}/moved/{status}{PATH}"
    follow = {} if client in FOLLOW_NO_REDIRECT else {"redirects": follows}
    as_bare(api, ear, lambda: CLIENTS[client](url, json=TEXT, headers={}, **follow))
    ended = Fact() if follow and follows else Fact(id="", code=str(status))
    assert facts(ear) == [ended]


def _adapter(url: str) -> int:
    retries = urllib3.Retry(3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=retries))
        return session.post(url, json=TEXT, timeout=PATIENCE).status_code


def _manager(url: str) -> int:
    retries = urllib3.Retry(3, status_forcelist=[503], allowed_methods=None, backoff_factor=0)
    with urllib3.PoolManager(retries=retries) as manager:
        return manager.request("POST", url, json=TEXT).status


def _loop(url: str) -> int:
    with httpx.Client() as client:
        return [client.post(url, json=TEXT).status_code for _ in range(3)][-1]


@pytest.mark.parametrize(
    ("make", "codes"),
    [(_adapter, [""]), (_manager, [""]), (_loop, ["503", "503", ""])],
    ids=["adapter", "manager", "loop"],
)
def test_44_retries_within_a_client_are_one_send(
    api: Api, ear: Ear, make: Callable[[str], int], codes: list[str]
) -> None:
    """Those of the bot itself are several."""

    def retried() -> int:
        api.refusals = 2
        return make(f"http://127.0.0.1:{api.port}{PATH}")

    assert as_bare(api, ear, retried) == 200
    assert [fact.code for fact in facts(ear)] == codes


class Login(httpx.Auth):
    """A login that asks twice and reads the first answer."""

    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Any:
        """Ask twice."""
        yield request
        request.headers["Authorization"] = "Bearer x"
        yield request


def test_44_a_login_of_httpx_is_one_send(api: Api, ear: Ear) -> None:
    """Its client has a base address that holds the number."""

    def post() -> int:
        base = f"http://127.0.0.1:{api.port}/v24.0/{NUMBER}/"
        with httpx.Client(base_url=base, auth=Login()) as client:
            return client.post("messages", json=TEXT).status_code

    assert as_bare(api, ear, post) == 200
    assert facts(ear) == [Fact()]


@pytest.mark.parametrize("client", ["httpx", "requests", "urllib3"])
def test_44_a_proxy_changes_nothing(api: Api, ear: Ear, client: str) -> None:
    """It gets the whole address."""
    proxy, url = f"http://127.0.0.1:{api.port}", f"http://graph.example{PATH}"

    def post() -> int:
        if client == "httpx":
            with httpx.Client(proxy=proxy) as bot:
                return bot.post(url, json=TEXT).status_code
        if client == "requests":
            return requests.post(url, json=TEXT, proxies={"http": proxy}, timeout=PATIENCE).status_code
        with urllib3.ProxyManager(proxy) as manager:
            return manager.request("POST", url, json=TEXT).status

    assert as_bare(api, ear, post) == 200
    assert facts(ear) == [Fact()]
