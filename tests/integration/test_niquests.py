"""Sends through niquests, whose dependency replaces urllib3. `.ci/matrix niquests` makes an environment for them.

A multiplexed answer needs HTTP/2, whose frames come from a dependency of niquests.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import http_hooks
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


niquests: Any = pytest.importorskip("niquests", reason="niquests replaces urllib3: run .ci/matrix niquests")

SEND = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hello"}}
FORM = {**SEND, "text": json.dumps(SEND["text"])}
TAKEN = {"messages": [{"id": "wamid.one"}]}
SEEN = [("15550004321", "wamid.one", True, "")]


class Api(BaseHTTPRequestHandler):
    """An API that takes each send. It redirects from `/moved`, and refuses sends to nobody."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a send."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        refused = b"nobody" in body
        status = 307 if self.path.startswith("/moved") else 400 if refused else 200
        answer = json.dumps({"error": {"code": 131026}} if refused else TAKEN).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", self.path.removeprefix("/moved"))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by the base class
        """Log nothing."""


def told(watching: Ear) -> list[tuple[str, str, bool, str]]:
    """Return recipient, id, acceptance and code of each send."""
    return [(send.wa_id, send.id, send.accepted, send.code) for send in watching.events]


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of an API on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(api: str) -> str:
    """The address for sends."""
    return f"{api}/v24.0/990001/messages"


@pytest.fixture
def multiplexing() -> Iterator[str]:
    """The address for sends over HTTP/2 in plain text, for one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)
        thread = threading.Thread(target=_serve_http2, args=(listening,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v24.0/990001/messages"
        thread.join(60)


def _serve_http2(listening: socket.socket) -> None:
    config, connection, events = (importlib.import_module(f"jh2.{name}") for name in ("config", "connection", "events"))
    http2 = connection.H2Connection(config.H2Configuration(client_side=False))
    http2.initiate_connection()
    client, _ = listening.accept()
    with client:
        client.settimeout(60)
        client.sendall(http2.data_to_send())
        while data := client.recv(65536):
            for event in http2.receive_data(data):
                if isinstance(event, events.StreamEnded):
                    http2.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                    http2.send_data(event.stream_id, json.dumps(TAKEN).encode(), end_stream=True)
            client.sendall(http2.data_to_send())


def _session(url: str, **content: Any) -> Any:
    with niquests.Session() as session:
        return session.post(url, timeout=60, **content)


def _prepared(url: str, **content: Any) -> Any:
    with niquests.Session() as session:
        return session.send(session.prepare_request(niquests.Request("POST", url, **content)), timeout=60)


async def _asynchronous(url: str, **content: Any) -> Any:
    async with niquests.AsyncSession() as session:
        return await session.post(url, timeout=60, **content)


WAYS: dict[str, Callable[..., Any]] = {
    "post": lambda url, **content: niquests.post(url, timeout=60, **content),
    "Session": _session,
    "Session.send": _prepared,
    "AsyncSession": lambda url, **content: asyncio.run(_asynchronous(url, **content)),
    "apost": lambda url, **content: asyncio.run(niquests.apost(url, timeout=60, **content)),
}


@pytest.mark.parametrize(
    "content", [{"json": SEND}, {"data": FORM}, {"data": json.dumps(SEND)}], ids=["json", "form", "text"]
)
@pytest.mark.parametrize("way", WAYS)
def test_a_send_is_seen_once_with_its_id(watching: Ear, url: str, way: str, content: dict[str, Any]) -> None:
    """The urllib3 under niquests does not count it again."""
    response = WAYS[way](url, **content)
    assert (type(response), response.status_code, response.json()) == (niquests.Response, 200, TAKEN)
    assert told(watching) == SEEN


@pytest.mark.parametrize("way", WAYS)
def test_a_redirected_send_is_seen_once(watching: Ear, api: str, way: str) -> None:
    """Its answer is the last one."""
    response = WAYS[way](f"{api}/moved/v24.0/990001/messages", json=SEND)
    assert [earlier.status_code for earlier in response.history] == [307]
    assert told(watching) == SEEN


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_counts_with_its_code(watching: Ear, url: str, way: str) -> None:
    """The bot gets the answer as it is."""
    response = WAYS[way](url, json={**SEND, "to": "nobody"})
    assert (response.status_code, response.json()) == (400, {"error": {"code": 131026}})
    assert told(watching) == [("", "", False, "131026")]


@pytest.mark.parametrize("way", WAYS)
def test_a_refused_connection_counts_as_a_failed_send(watching: Ear, way: str) -> None:
    """The bot gets the exception of niquests."""
    with pytest.raises(niquests.ConnectionError):
        WAYS[way]("http://127.0.0.1:9/v24.0/990001/messages", json=SEND)
    assert told(watching) == [("15550004321", "", False, "connection")]


READ: dict[str, Callable[[Any], Any]] = {
    "content": lambda response: response.content,
    "JSON": lambda response: response.json(),
    "pieces": lambda response: b"".join(response.iter_content(7)),
    "lines": lambda response: list(response.iter_lines()),
    "iteration": b"".join,
    "raw": lambda response: response.raw.read(),
}


@pytest.mark.parametrize("way", READ)
def test_an_answer_that_streams_is_the_bot_s_to_read(watching: Ear, url: str, way: str) -> None:
    """It counts once the bot has read it, and nothing of ours stays on it."""
    http_hooks.remove(watching)
    found: list[Any] = []
    for watched in (False, True):
        if watched:
            http_hooks.install(watching)
        with niquests.Session() as session:
            response = session.post(url, json=SEND, stream=True)
            assert told(watching) == []
            assert not response._content_consumed  # the public attributes would read the body
            found.append((READ[way](response), sorted(vars(response.raw))))
    assert found[0] == found[1]
    assert told(watching) == SEEN


async def _pieces(response: Any) -> Any:
    return b"".join([piece async for piece in await response.iter_content(7)])


async def _iterated(response: Any) -> Any:
    return b"".join([piece async for piece in response])


async def _raw(response: Any) -> Any:
    return b"".join([piece async for piece in response.raw.stream(7)])


async def _content(response: Any) -> Any:
    return await response.content


ASYNC_READ: dict[str, Callable[[Any], Any]] = {
    "content": _content,
    "JSON": lambda response: response.json(),
    "pieces": _pieces,
    "iteration": _iterated,
    "raw": _raw,
}


@pytest.mark.parametrize("way", ASYNC_READ)
def test_an_asynchronous_answer_that_streams_is_the_bot_s_to_read(watching: Ear, url: str, way: str) -> None:
    """It counts once the bot has read it, and nothing of ours stays on it."""

    async def send() -> Any:
        async with niquests.AsyncSession() as session:
            response = await session.post(url, json=SEND, stream=True)
            assert type(response) is niquests.AsyncResponse
            assert told(watching) == []
            assert not response._content_consumed
            return await ASYNC_READ[way](response), sorted(vars(response.raw))

    http_hooks.remove(watching)
    bare = asyncio.run(send())
    http_hooks.install(watching)
    assert asyncio.run(send()) == bare
    assert told(watching) == SEEN


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_streamed_answer_that_is_closed_unread_counts_by_its_status(
    watching: Ear,
    url: str,
    asynchronous: bool,  # noqa: FBT001 - a parameter
) -> None:
    """Its id is not known then."""

    async def send() -> None:
        async with niquests.AsyncSession() as session, await session.post(url, json=SEND, stream=True):
            assert told(watching) == []

    if asynchronous:
        asyncio.run(send())
    else:
        with niquests.Session() as session:
            session.post(url, json=SEND, stream=True).close()
    assert told(watching) == [("15550004321", "", True, "")]


def test_a_multiplexed_answer_is_not_waited_for(watching: Ear, multiplexing: str) -> None:
    """The send counts as accepted, and the bot gathers the answer itself."""
    with niquests.Session(multiplexed=True, disable_http1=True) as session:
        response = session.post(multiplexing, json=SEND)
        assert response.lazy
        assert told(watching) == [("15550004321", "", True, "")]
        session.gather()
        assert response.json() == TAKEN
    assert len(watching.events) == 1


def test_an_asynchronous_multiplexed_answer_is_not_waited_for(watching: Ear, multiplexing: str) -> None:
    """The send counts as accepted, and the bot gathers the answer itself."""

    async def send() -> Any:
        async with niquests.AsyncSession(multiplexed=True, disable_http1=True) as session:
            response = await session.post(multiplexing, json=SEND)
            assert response.lazy
            await session.gather()
            return response.json()

    assert asyncio.run(send()) == TAKEN
    assert told(watching) == [("15550004321", "", True, "")]


def test_a_send_of_requests_through_the_urllib3_of_niquests_is_seen_once(watching: Ear, url: str) -> None:
    """Requests runs unchanged on top of it."""
    requests: Any = pytest.importorskip("requests")
    assert requests.post(url, json=SEND, timeout=60).json() == TAKEN
    assert told(watching) == SEEN


@pytest.fixture(params=["urllib3", "urllib3_future"])
def urllib3(request: pytest.FixtureRequest) -> Any:
    """The package under niquests, under both of its names."""
    return pytest.importorskip(request.param)


def test_a_send_through_the_urllib3_of_niquests_is_seen_once(watching: Ear, url: str, urllib3: Any) -> None:
    """Its pool has the same method as urllib3's own."""
    with urllib3.PoolManager() as pool:
        assert pool.request("POST", url, json=SEND).json() == TAKEN
    assert told(watching) == SEEN


@pytest.mark.parametrize("path", ["", "/moved"], ids=["direct", "redirected"])
def test_a_send_through_its_asynchronous_pool_is_seen_once(watching: Ear, api: str, urllib3: Any, path: str) -> None:
    """Only urllib3-future has one."""

    async def send() -> Any:
        async with urllib3.AsyncPoolManager() as pool:
            response = await pool.request("POST", f"{api}{path}/v24.0/990001/messages", json=SEND)
            return await response.json()

    assert asyncio.run(send()) == TAKEN
    assert told(watching) == SEEN


def test_a_stream_of_its_asynchronous_pool_is_the_bot_s_to_read(watching: Ear, url: str, urllib3: Any) -> None:
    """It counts once the bot has read it."""

    async def send() -> Any:
        async with urllib3.AsyncPoolManager() as pool:
            response = await pool.request("POST", url, json=SEND, preload_content=False)
            assert told(watching) == []
            return json.loads(await response.read())

    assert asyncio.run(send()) == TAKEN
    assert told(watching) == SEEN


@pytest.mark.parametrize("to", ["nobody", "15550004321"])
def test_failures_of_its_asynchronous_pool_count(watching: Ear, url: str, urllib3: Any, to: str) -> None:
    """A refusal has its code, and the bot gets the exception of a refused connection."""

    async def send() -> Any:
        async with urllib3.AsyncPoolManager(retries=False) as pool:
            there = url if to == "nobody" else "http://127.0.0.1:9/v24.0/990001/messages"
            return (await pool.request("POST", there, json={**SEND, "to": to})).status

    if to == "nobody":
        assert asyncio.run(send()) == 400
        assert told(watching) == [("", "", False, "131026")]
        return
    with pytest.raises(urllib3.exceptions.HTTPError):
        asyncio.run(send())
    assert told(watching) == [("15550004321", "", False, "connection")]


def test_a_client_of_its_asynchronous_pool_can_be_watched_alone(url: str, urllib3: Any) -> None:
    """The other pools are not seen."""
    watching = Ear()

    async def send() -> None:
        async with urllib3.AsyncHTTPConnectionPool("127.0.0.1", urllib3.util.parse_url(url).port) as pool:
            undo = http_hooks.instrument_client(pool, watching)
            await pool.request("POST", "/v24.0/990001/messages", json=SEND)
            undo()
            await pool.request("POST", "/v24.0/990001/messages", json=SEND)

    asyncio.run(send())
    assert told(watching) == SEEN


def test_a_multiplexed_promise_of_the_urllib3_of_niquests_is_left_to_the_bot(
    watching: Ear, multiplexing: str, urllib3: Any
) -> None:
    """The send counts as accepted."""
    with urllib3.PoolManager(disabled_svn={urllib3.HttpVersion.h11, urllib3.HttpVersion.h3}) as pool:
        promise = pool.request("POST", multiplexing, json=SEND, multiplexed=True)
        assert told(watching) == [("15550004321", "", True, "")]
        assert pool.get_response(promise=promise).json() == TAKEN
    assert len(watching.events) == 1


def test_the_classes_get_their_methods_back(url: str) -> None:
    """After the last observer, nothing of ours is left."""
    before = [vars(owner)["send"] for owner in (niquests.Session, niquests.AsyncSession)]
    watching = Ear()
    http_hooks.install(watching)
    assert all(
        vars(owner)["send"].__wrapped__ is bare
        for owner, bare in zip((niquests.Session, niquests.AsyncSession), before, strict=True)
    )
    http_hooks.remove(watching)
    assert [vars(owner)["send"] for owner in (niquests.Session, niquests.AsyncSession)] == before
    niquests.post(url, json=SEND)
    assert watching.events == []
