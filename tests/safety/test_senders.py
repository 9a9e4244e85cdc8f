"""Case 76 of tests/safety/README.md, and sends that the table of `every_client` does not have."""

from __future__ import annotations

import gc
import http.client
import json
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest
import urllib3
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from chatvitals import http_hooks
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from chatvitals.integrations.asgi import ASGIApp

SEND = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hello"}}
JSON = {"Content-Type": "application/json"}
RAW = json.dumps(SEND).encode()


@pytest.fixture
def url(serve: Callable[[ASGIApp], int]) -> str:
    """The address of an API that takes each send."""

    async def take(request: Request) -> JSONResponse:
        await request.body()
        return JSONResponse({"messages": [{"id": "wamid.one"}]})

    path = "/v24.0/990001/messages"
    return f"http://127.0.0.1:{serve(Starlette(routes=[Route(path, take, methods=['POST'])]))}{path}"


def _in_pieces(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, RAW, JSON), timeout=60) as response:
        return b"".join(iter(lambda: response.read(7), b""))


def _in_one_go(url: str) -> bytes:
    body: bytes = urllib.request.urlopen(urllib.request.Request(url, RAW, JSON), timeout=60).read()
    return body


@pytest.mark.parametrize("read", [_in_pieces, _in_one_go])
def test_an_answer_of_urllib_counts_once_however_it_is_read(
    watching: Ear, url: str, read: Callable[[str], bytes]
) -> None:
    """With the message's id, and the bot gets the answer as it is."""
    answer = read(url)
    assert json.loads(answer) == {"messages": [{"id": "wamid.one"}]}
    assert [(send.wa_id, send.id, send.accepted) for send in watching.events] == [("15550004321", "wamid.one", True)]


def test_an_answer_of_urllib_that_nobody_reads_counts_by_its_status(watching: Ear, url: str) -> None:
    """Its id is not known then."""
    urllib.request.urlopen(urllib.request.Request(url, RAW, JSON), timeout=60).close()
    gc.collect()
    assert [(send.id, send.accepted) for send in watching.events] == [("", True)]


def test_a_refused_connection_of_http_client_is_as_bare(watching: Ear) -> None:
    """It counts as a failed send."""
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1:9", timeout=60).request("POST", "/v24.0/990001/messages", RAW, JSON)
    assert [send.code for send in watching.events] == ["connection"]


@pytest.mark.parametrize("retries", [False, 1])
def test_a_refused_connection_of_urllib3_is_as_bare(watching: Ear, retries: int) -> None:
    """It counts as one failed connection, also where urllib3 wraps the error after retries."""
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.PoolManager(retries=retries).request("POST", "http://127.0.0.1:9/v24.0/990001/messages", json=SEND)
    assert [send.code for send in watching.events] == ["connection"]


def test_a_manager_of_urllib3_can_be_watched_alone(url: str) -> None:
    """Other managers are not seen."""
    watching, manager = Ear(), urllib3.PoolManager()
    undo = http_hooks.instrument_client(manager, watching)
    manager.request("POST", url, json=SEND)
    urllib3.PoolManager().request("POST", url, json=SEND)
    undo()
    manager.request("POST", url, json=SEND)
    assert [send.id for send in watching.events] == ["wamid.one"]


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
