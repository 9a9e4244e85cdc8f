"""Cases 75 and 76 of tests/safety/README.md, and sends through whichever client: each is seen once, and as bare."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from chatvitals import http_hooks
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp

SEND = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hello"}}
FORM = {**SEND, "text": json.dumps(SEND["text"])}
JSON = {"Content-Type": "application/json"}
RAW = json.dumps(SEND).encode()


@pytest.fixture
def ear() -> Iterator[Ear]:
    """An observer of all clients of this process."""
    ear = Ear()
    http_hooks.install(ear)
    yield ear
    http_hooks.remove(ear)


@pytest.fixture
def url(serve: Callable[[ASGIApp], int]) -> str:
    """The address of an API that takes each send, and refuses those to nobody."""

    async def take(request: Request) -> JSONResponse:
        if b"nobody" in await request.body():
            return JSONResponse({"error": {"code": 131026}}, 400)
        return JSONResponse({"messages": [{"id": "wamid.one"}]})

    async def moved(_: Request) -> RedirectResponse:
        return RedirectResponse(path, 307)

    path = "/v24.0/990001/messages"
    routes = [Route(path, take, methods=["POST"]), Route(f"/moved{path}", moved, methods=["POST"])]
    return f"http://127.0.0.1:{serve(Starlette(routes=routes))}{path}"


def _http_client(url: str) -> bytes:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("POST", f"/{path}", RAW, JSON)
    body = connection.getresponse().read()
    connection.close()
    return body


def _urllib(url: str) -> bytes:
    request = urllib.request.Request(url, RAW, JSON)
    with urllib.request.urlopen(request, timeout=60) as response:
        body: bytes = response.read()
        return body


def _in_pieces(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, RAW, JSON), timeout=60) as response:
        return b"".join(iter(lambda: response.read(7), b""))


async def _aiohttp(url: str, **content: Any) -> bytes:
    async with aiohttp.ClientSession() as session, session.post(url, **content) as response:
        return await response.read()


def _form() -> aiohttp.FormData:
    return aiohttp.FormData(FORM)


WAYS: dict[str, Callable[[str], bytes]] = {
    "http.client": _http_client,
    "urllib.request": _urllib,
    "urllib.request in pieces": _in_pieces,
    "urllib.request in one go": lambda url: urllib.request.urlopen(urllib.request.Request(url, RAW, JSON)).read(),
    "urllib3": lambda url: urllib3.PoolManager().request("POST", url, json=SEND).data,
    "requests": lambda url: requests.post(url, json=SEND, timeout=60).content,
    "requests, form": lambda url: requests.post(url, data=FORM, timeout=60).content,
    "httpx, form": lambda url: httpx.post(url, data=FORM, timeout=60).content,
    "aiohttp, form": lambda url: asyncio.run(_aiohttp(url, data=FORM)),
    "aiohttp, FormData": lambda url: asyncio.run(_aiohttp(url, data=_form())),
    "aiohttp, JsonPayload": lambda url: asyncio.run(_aiohttp(url, data=aiohttp.JsonPayload(SEND))),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_send_is_seen_once_whichever_client_makes_it(ear: Ear, url: str, way: str) -> None:
    """With the message's id, and the bot gets the answer as it is."""
    answer = WAYS[way](url)
    assert json.loads(answer) == {"messages": [{"id": "wamid.one"}]}
    assert [(send.wa_id, send.id, send.accepted) for send in ear.events] == [("15550004321", "wamid.one", True)]


def test_an_answer_of_urllib_that_nobody_reads_counts_by_its_status(ear: Ear, url: str) -> None:
    """Its id is not known then."""
    urllib.request.urlopen(urllib.request.Request(url, RAW, JSON), timeout=60).close()
    gc.collect()
    assert [(send.id, send.accepted) for send in ear.events] == [("", True)]


def test_a_refusal_reaches_the_users_of_urllib_as_bare(ear: Ear, url: str) -> None:
    """The code of the Graph API is known as soon as the bot reads it."""
    body = json.dumps({**SEND, "to": "nobody"}).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, body, JSON), timeout=60)
    with caught.value as error:
        assert json.load(error) == {"error": {"code": 131026}}
    assert [(send.code, send.accepted) for send in ear.events] == [("131026", False)]


def test_a_refused_connection_of_http_client_is_as_bare(ear: Ear) -> None:
    """It counts as a failed send."""
    with pytest.raises(ConnectionRefusedError):
        _http_client("http://127.0.0.1:9/v24.0/990001/messages")
    assert [send.code for send in ear.events] == ["connection"]


def test_a_redirected_send_of_urllib3_is_seen_once(ear: Ear, url: str) -> None:
    """Its manager follows the redirect with a second request of its pool."""
    there = url.replace("/v24.0", "/moved/v24.0")
    response = urllib3.PoolManager().request("POST", there, json=SEND)
    assert (response.status, response.json()) == (200, {"messages": [{"id": "wamid.one"}]})
    assert [(send.id, send.accepted, send.code) for send in ear.events] == [("wamid.one", True, "")]


@pytest.mark.parametrize("retries", [False, 1])
def test_a_refused_connection_of_urllib3_is_as_bare(ear: Ear, retries: int) -> None:
    """It counts as one failed connection, also where urllib3 wraps the error after retries."""
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.PoolManager(retries=retries).request("POST", "http://127.0.0.1:9/v24.0/990001/messages", json=SEND)
    assert [send.code for send in ear.events] == ["connection"]


def test_a_manager_of_urllib3_can_be_watched_alone(url: str) -> None:
    """Other managers are not seen."""
    ear, manager = Ear(), urllib3.PoolManager()
    undo = http_hooks.instrument_client(manager, ear)
    manager.request("POST", url, json=SEND)
    urllib3.PoolManager().request("POST", url, json=SEND)
    undo()
    manager.request("POST", url, json=SEND)
    assert [send.id for send in ear.events] == ["wamid.one"]


@pytest.mark.parametrize("library", ["httpx", "requests", "aiohttp", "urllib3"])
def test_76_the_first_send_is_seen_however_late_its_library_is_imported(library: str) -> None:
    """The class is hooked when the import is over, also where a function imports it. `remove` leaves no finder."""
    script = f"""
import sys, time
from chatvitals import http_hooks
from chatvitals.runtime.error_guard import ErrorGuard
finders = list(sys.meta_path)
observer = http_hooks.SendObserver([].append, ErrorGuard(), time.time)
http_hooks.install(observer)
assert {library!r} not in sys.modules
def send():
    import {library}
send()
methods = [m for m in http_hooks._METHODS if m.module.partition(".")[0] == {library!r}]
hooked = [m for m in methods if "_async" not in m.module]  # urllib3-future alone has an asynchronous pool
assert hooked and all(hasattr(vars(m.loaded_class(sys.modules))[m.name], "__wrapped__") for m in hooked)
http_hooks.remove(observer)
assert sys.meta_path == finders
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
