"""Beside other instrumentations, mocks of users' tests, and a bot's module that is loaded again."""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp
import httpx
import pytest
from aiohttp.helpers import TimerNoop
from multidict import CIMultiDict, CIMultiDictProxy
from starlette.testclient import TestClient
from yarl import URL

from chatvitals import http_hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import AsgiDriver
    from tests.helpers.ear import Ear

CLIENT: Any = httpx.Client
SESSION: Any = aiohttp.ClientSession
ADDRESS = "https://graph.example/v24.0/123/messages"
BODY = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hi"}}
ANSWER = b'{"messages": [{"id": "wamid.1"}]}'
BOT = '''
"""A bot."""
import chatvitals
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

async def webhook(request):
    await request.body()
    return Response()

vitals = chatvitals.init(store={store!r}, app_secret={secret!r}, phone_number_id="1")
app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])
vitals.instrument_app(app, metrics_path="/metrics")
'''


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """Put back the methods of clients at the end, whatever happens."""
    bare = vars(CLIENT)["send"], vars(SESSION)["_request"]
    yield
    CLIENT.send, SESSION._request = bare


def send() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=ANSWER))
    with httpx.Client(transport=transport) as client:
        client.post(ADDRESS, json=BODY)


class Marked:
    """An instrumentation that knows its wrapper by a mark, and takes it off only where it lies on top."""

    calls = 0

    def install(self) -> None:
        """Wrap the present function."""
        bare = CLIENT.send

        @functools.wraps(bare)
        def traced(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return bare(*args, **kwargs)

        traced.marked = True  # type: ignore[attr-defined]
        CLIENT.send = traced

    def remove(self) -> None:
        """Put the former function back."""
        if getattr(CLIENT.send, "marked", False):
            CLIENT.send = CLIENT.send.__wrapped__


@pytest.mark.parametrize(
    ("order", "stays"),
    [
        ("theirs+ ours+ ours- theirs-", False),
        ("theirs+ ours+ theirs- ours-", True),  # below another wrapper they cannot find theirs
        ("ours+ theirs+ theirs- ours-", False),
        ("ours+ theirs+ ours- theirs-", False),
    ],
)
def test_46_in_any_order_a_send_counts_once_and_nothing_of_ours_stays(ear: Ear, order: str, *, stays: bool) -> None:
    """Both see the send while both are there, and afterwards ours sees nothing."""
    bare, theirs = vars(CLIENT)["send"], Marked()
    steps: dict[str, Callable[[], None]] = {
        "theirs+": theirs.install,
        "theirs-": theirs.remove,
        "ours+": lambda: http_hooks.install(ear),
        "ours-": lambda: http_hooks.remove(ear),
    }
    for count, step in enumerate(order.split(), 1):
        steps[step]()
        if count == 2:
            send()
            assert (len(ear.events), theirs.calls) == (1, 1)
    send()  # a wrapper of ours that another patch had put back takes itself off with the next call
    assert len(ear.events) == 1
    assert (vars(CLIENT)["send"] is not bare) is stays
    assert getattr(vars(CLIENT)["send"], "__wrapped__", bare) is bare


async def _canned(_session: Any, method: str, address: str, **_: Any) -> aiohttp.ClientResponse:
    """Return an answer without a connection, as `aioresponses` does."""
    url, loop = URL(address), asyncio.get_running_loop()
    headers = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/json"}))
    response = aiohttp.ClientResponse(
        method,
        url,
        writer=None,
        continue100=None,
        timer=TimerNoop(),
        request_info=aiohttp.RequestInfo(url, method, headers, url),
        traces=[],
        loop=loop,
        session=None,  # type: ignore[arg-type]
        stream_writer=mock.Mock(),
    )
    response._headers, response.status, response.reason = headers, 200, "OK"
    response.content = aiohttp.StreamReader(mock.Mock(_reading_paused=False), 2**16, loop=loop)
    response.content.feed_data(ANSWER)
    response.content.feed_eof()
    return response


async def _post(address: str = ADDRESS) -> object:
    async with aiohttp.ClientSession() as session, session.post(address, json=BODY) as response:
        return await response.json()


@pytest.mark.parametrize("ours_first", [False, True])
def test_47_a_mock_in_the_place_of_aiohttps_request_goes_on_working(ear: Ear, *, ours_first: bool) -> None:
    """A mock below ours is seen. A mock above ours hides the send, and nothing is sent in either case."""
    bare = vars(SESSION)["_request"]
    if ours_first:
        http_hooks.install(ear)
    with mock.patch("aiohttp.client.ClientSession._request", side_effect=_canned, autospec=True) as mocked:
        http_hooks.install(ear)
        assert asyncio.run(_post()) == {"messages": [{"id": "wamid.1"}]}
        assert mocked.call_count == 1
    assert [event.id for event in ear.events] == ["wamid.1"]
    http_hooks.remove(ear)
    with pytest.raises(aiohttp.ClientConnectionError):  # a wrapper that the mock has put back takes itself off
        asyncio.run(_post("http://127.0.0.1:1/v24.0/123/messages"))
    assert len(ear.events) == 1
    assert vars(SESSION)["_request"] is bare


def test_20_a_module_that_is_loaded_again_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asgi: AsgiDriver
) -> None:
    """The new application goes on with the numbers of the old one. The page shows each series once."""
    bare = vars(CLIENT)["send"]
    store = f"sqlite:///{tmp_path / 'store.db'}"
    (tmp_path / "reloaded_bot.py").write_text(BOT.format(store=store, secret=asgi.secret))
    monkeypatch.syspath_prepend(tmp_path)
    bot: Any = importlib.import_module("reloaded_bot")
    loaded = []
    for _ in range(3):
        loaded.append(bot.vitals)
        headers = {"x-hub-signature-256": asgi.sign(asgi.body)}
        assert TestClient(bot.app).post("/webhook", content=asgi.body, headers=headers).status_code == 200
        send()
        bot.vitals.settle(60)
        page = TestClient(bot.app).get("/metrics").text
        bot = importlib.reload(bot)
    loaded.append(bot.vitals)
    names = [line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#")]
    assert len(names) == len(set(names))
    assert 'chatvitals_webhooks_total{result="accepted"} 3.0' in page.splitlines()
    assert _sum(page, "chatvitals_sends_total") == 3.0
    for vitals in loaded:
        vitals.close()
    assert vars(CLIENT)["send"] is bare
    del sys.modules["reloaded_bot"]


def _sum(page: str, family: str) -> float:
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(f"{family}{{"))
