"""The same sends through every client: each counts once, with the same facts, and the bot's call is as bare.

What a client decides by itself and what therefore differs:

- http.client follows no redirect. urllib.request follows 301, 302 and 303 with a GET, after the send has been answered.
- `putrequest` of http.client and a body that can be read only once are not read. Statuses count.
- A call in a batch request (`batch=`) has no endpoint of its own in the address. Statuses count.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import gzip
import json
import pickle
import zlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from chatvitals import http_hooks
from tests.helpers.asgi_server import serving
from tests.helpers.ear import Ear
from tests.helpers.every_client import CLIENTS, FOLLOW_NO_REDIRECT, PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUMBER, PHONE = "990005556667778", "15550004321"
PATH = f"/v24.0/{NUMBER}/messages"
TEXT = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}}
RAW = json.dumps(TEXT).encode()
FORM = {**TEXT, "text": json.dumps(TEXT["text"])}
TEMPLATE = {**TEXT, "type": "template", "template": {"name": "menu", "language": {"code": "it"}}}
MARK = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x"}
ACCEPTED = json.dumps({"contacts": [{"wa_id": PHONE}], "messages": [{"id": "wamid.one"}]}).encode()
REFUSED = b'{"error": {"code": 131047}}'
ANSWERS: dict[str, tuple[int, bytes, str]] = {  # status, body and encoding
    "": (200, ACCEPTED, ""),
    "chunks": (200, ACCEPTED, ""),
    "gzip": (200, gzip.compress(ACCEPTED), "gzip"),
    "deflate": (200, zlib.compress(ACCEPTED), "deflate"),
    "gzip, refused": (400, gzip.compress(REFUSED), "gzip"),
    "no gzip": (200, ACCEPTED, "identity"),
    "refused": (400, REFUSED, ""),
    "refused with 200": (200, REFUSED, ""),
    "HTML": (502, b"<html>Bad gateway</html>", ""),
    "HTML with 200": (200, b"<html>Welcome</html>", ""),
    "empty": (200, b"", ""),
    "no content": (204, b"", ""),
    "BOM": (200, b"\xef\xbb\xbf" + ACCEPTED, ""),
    "UTF-16": (200, ACCEPTED.decode().encode("utf-16"), ""),
}


class Api:
    """A stand-in for the API. The header `x-answer` names its answer, and `/moved/STATUS/` redirects."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, str, bytes]] = []
        self.refusals = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append((scope["method"], scope["path"], body))
        name = dict(scope["headers"]).get(b"x-answer", b"").decode()
        status, content, encoding = ANSWERS[name]
        headers = [(b"content-type", b"application/json")]
        if encoding:
            headers.append((b"content-encoding", encoding.encode()))
        if self.refusals:
            self.refusals -= 1
            status, content = 503, b"busy"
        if scope["path"].startswith("/moved/"):
            _, _, code, rest = scope["path"].split("/", 3)
            status, content, headers = int(code), b"", [(b"location", f"/{rest}".encode())]
        if name != "chunks" and status != 204:
            headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for start in range(0, len(content), 10):
            await send({"type": "http.response.body", "body": content[start : start + 10], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """The stand-in on loopback."""
    api = Api()
    with serving(lifespan="off") as start:
        api.port = start(api)
        yield api


@pytest.fixture
def ear(clock: Any) -> Iterator[Ear]:
    """An observer, not yet installed."""
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)


class Fact(NamedTuple):
    """What a send is about, and how it ended."""

    number: str = NUMBER
    phone: str = PHONE
    kind: str = "reply"
    id: str = "wamid.one"
    code: str = ""
    template: str = ""


def facts(ear: Ear) -> list[Fact]:
    """Return the facts of all sends."""
    assert all(send.accepted == (not send.code) for send in ear.events)
    assert not ear.guard.errors
    return [Fact(send.phone_number_id, send.wa_id, send.kind, send.id, send.code, send.template) for send in ear.events]


def as_bare(api: Api, ear: Ear, make: Callable[[], Any]) -> Any:
    """Make a call bare and watched. Client and server must see the same both times. Return what the client saw."""
    seen: list[Any] = []
    for watched in (False, True):
        if watched:
            http_hooks.install(ear)
        api.seen.clear()
        try:
            outcome = make()
        except Exception as error:  # noqa: BLE001 - what comes out is compared
            outcome = type(error)
        seen.append((outcome, list(api.seen)))
    assert seen[0] == seen[1]
    return seen[0][0]


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


# Answers that are read otherwise


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


def _urllib3(read: Callable[[Any], Any]) -> Callable[[str], Any]:
    def post(url: str) -> Any:
        with urllib3.PoolManager() as manager:
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


# Retries and logins


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
