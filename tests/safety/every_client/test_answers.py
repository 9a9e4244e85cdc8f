"""An answer that is read in any other way, or not at all, counts once through every client."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3

from chatvitals import http_hooks
from tests.helpers.answering_api import ACCEPTED, PATH, TEXT, Api, Fact, as_bare, facts
from tests.helpers.every_client import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers.ear import Ear


def _dropped(url: str) -> Any:
    with httpx.Client() as client:
        return client.send(client.build_request("POST", url, json=TEXT), stream=True).status_code


def _closed(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return response.status_code


def _part(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return next(response.iter_bytes(5))


def _raw(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return b"".join(response.iter_raw())


def _lines(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return list(response.iter_lines())


def _twice(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return response.read(), response.read(), response.json(), sorted(vars(response))


def _consumed(url: str) -> Any:
    with httpx.stream("POST", url, json=TEXT) as response:
        return b"".join(response.iter_bytes()), response.read()


def _requests(read: Callable[[requests.Response], Any]) -> Callable[[str], Any]:
    def post(url: str) -> Any:
        with requests.post(url, json=TEXT, stream=True, timeout=PATIENCE) as response:
            found = read(response)
        return found, sorted(vars(response))

    return post


def _urllib3(read: Callable[[Any], Any], answer: str = "") -> Callable[[str], Any]:
    def post(url: str) -> Any:
        with urllib3.PoolManager(headers={"x-answer": answer}) as manager:
            return read(manager.request("POST", url, json=TEXT, preload_content=False))

    return post


def _into(response: Any) -> bytes:
    buffer = bytearray(4096)
    return bytes(buffer[: response.readinto(buffer)])


HAS_READ1 = hasattr(urllib3.HTTPResponse, "read1")
"""Whether urllib3 is newer than 2.0, whose `drain_conn` calls `read`."""
READ: dict[str, tuple[Callable[[str], Any], str]] = {  # and whether the message's id is known
    "httpx, dropped": (_dropped, ""),
    "httpx, closed": (_closed, ""),
    "httpx, a part": (_part, ""),
    "httpx, raw": (_raw, ""),
    "httpx, lines": (_lines, "wamid.one"),
    "httpx, twice": (_twice, "wamid.one"),
    "httpx, consumed": (_consumed, "wamid.one"),
    "requests, JSON": (_requests(lambda response: response.json()), "wamid.one"),
    "requests, text": (_requests(lambda response: response.text), "wamid.one"),
    "requests, lines": (_requests(lambda response: list(response.iter_lines())), "wamid.one"),
    "requests, as text": (_requests(lambda response: "".join(response.iter_content(7, True))), "wamid.one"),
    "requests, iterated": (_requests(b"".join), "wamid.one"),
    "requests, unread": (_requests(lambda response: response.status_code), ""),
    "requests, raw": (_requests(lambda response: response.raw.read()), ""),
    "requests, wrongly": (_requests(lambda response: response.iter_content("7")), ""),  # type: ignore[arg-type]
    "urllib3, JSON": (_urllib3(lambda response: response.json()), "wamid.one"),
    "urllib3, read": (_urllib3(lambda response: response.read()), "wamid.one"),
    "urllib3, in pieces": (_urllib3(lambda response: b"".join(iter(lambda: response.read(7), b""))), "wamid.one"),
    "urllib3, read1": (
        _urllib3(lambda response: b"".join(iter(lambda: response.read1(7), b""))),
        "wamid.one" if HAS_READ1 else "",
    ),
    "urllib3, read1 without a size": (
        _urllib3(lambda response: b"".join(iter(response.read1, b"")), "chunks"),
        "wamid.one" if HAS_READ1 else "",
    ),
    "urllib3, read of no size": (_urllib3(lambda response: response.read(None)), "wamid.one"),
    "urllib3, into": (_urllib3(_into), "wamid.one"),
    "urllib3, iterated": (_urllib3(b"".join), "wamid.one"),
    "urllib3, drained": (_urllib3(lambda response: response.drain_conn()), "" if HAS_READ1 else "wamid.one"),
    "urllib3, unread": (_urllib3(lambda response: response.status), ""),
    # the response is dropped once its method has been fetched
    "requests, in one line": (
        lambda url: b"".join(requests.post(url, json=TEXT, stream=True, timeout=PATIENCE).iter_content(7)),
        "wamid.one",
    ),
    "requests, closed in one line": (
        lambda url: requests.post(url, json=TEXT, stream=True, timeout=PATIENCE).close(),
        "",
    ),
    "urllib3, in one line": (
        lambda url: urllib3.PoolManager().request("POST", url, json=TEXT, preload_content=False).read(),
        "wamid.one",
    ),
    "urllib3, streamed in one line": (
        lambda url: b"".join(urllib3.PoolManager().request("POST", url, json=TEXT, preload_content=False).stream(7)),
        "wamid.one",
    ),
}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("way", READ)
def test_44_a_streamed_answer_counts_once_however_it_is_read(api: Api, ear: Ear, way: str) -> None:
    """It stays the bot's to read, and nothing of ours stays on it."""
    make, known = READ[way]
    as_bare(api, ear, lambda: make(f"http://127.0.0.1:{api.port}{PATH}"))
    gc.collect()
    assert facts(ear) == [Fact(id=known)]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda response: pickle.loads(pickle.dumps(response))])
def test_44_an_unread_answer_of_httpx_is_copied_as_bare(ear: Ear, copied: Callable[[Any], httpx.Response]) -> None:
    """Nothing of ours is in a pickle, and the copy reads nothing of the original."""
    http_hooks.install(ear)

    class Stream(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield ACCEPTED

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Stream()))
    with (
        httpx.Client(transport=transport) as client,
        client.stream("POST", f"https://graph.example{PATH}", json=TEXT) as response,
    ):
        other = copied(response)
        assert (type(other), other.status_code) == (httpx.Response, 200)
        with pytest.raises(httpx.StreamClosed):
            other.read()
        assert response.read() == ACCEPTED
    assert facts(ear) == [Fact()]


@pytest.mark.parametrize("fails", [False, True])
def test_44_an_asynchronous_stream_that_is_left_counts_once(api: Api, ear: Ear, fails: bool) -> None:  # noqa: FBT001
    """The bot breaks off, by itself or by an exception."""
    url = f"http://127.0.0.1:{api.port}{PATH}"

    async def main() -> Any:
        async with httpx.AsyncClient() as client, client.stream("POST", url, json=TEXT) as response:
            async for piece in response.aiter_bytes(5):
                if fails:
                    raise ZeroDivisionError
                return piece
        return None

    as_bare(api, ear, lambda: asyncio.run(main()))
    gc.collect()
    assert facts(ear) == [Fact(id="")]


def test_44_a_stand_in_for_a_response_counts_by_its_status(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of bots return objects of their own."""

    class Response:
        __slots__ = ("status_code",)

    response: Any = Response()
    response.status_code = 200
    monkeypatch.setattr(requests.Session, "send", lambda *_, **__: response)
    http_hooks.install(ear)
    prepared = requests.Request("POST", f"https://graph.example{PATH}", json=TEXT).prepare()
    assert requests.Session().send(prepared, stream=True) is response
    http_hooks.remove(ear)
    assert facts(ear) == [Fact(id="")]


def test_44_a_stand_in_for_a_response_of_aiohttp_counts_by_its_status(
    ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also once its stream ends."""
    ended: list[Callable[[], None]] = []

    class Content:
        is_eof = staticmethod(lambda: False)
        on_eof = staticmethod(ended.append)

    class Response:
        status, content = 200, Content()

    async def request(*_: object, **__: object) -> Any:
        return Response()

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await session._request("POST", f"https://graph.example{PATH}", json=TEXT)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", request)
    http_hooks.install(ear)
    asyncio.run(main())
    for end in ended:
        end()
    http_hooks.remove(ear)
    assert facts(ear) == [Fact(id="")]
