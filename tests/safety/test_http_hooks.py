"""Cases 1, 3, 4 and 44 to 48 of tests/safety/README.md: each call is made bare and watched, over real sockets."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import re
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import httpx2
import multidict
import pytest
import requests
import trio

from chatvitals import http_hooks
from chatvitals.http_hooks.observer import UNREAD
from chatvitals.whatsapp import send_requests
from tests.helpers.asgi_server import serving
from tests.helpers.ear import Ear
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    Clock = Any  # the fake clock of conftest

NUMBER = "990005556667778"
PHONE = "15550004321"
BODY = {"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}}
RAW = json.dumps(BODY).encode()
FORM = {**BODY, "text": json.dumps(BODY["text"])}
ACCEPTED = json.dumps({"contacts": [{"wa_id": PHONE}], "messages": [{"id": "wamid.one"}]}).encode()
JSON = (b"content-type", b"application/json")
ANSWERS = {
    "ok": (200, ACCEPTED),
    "rejected": (400, b'{"error": {"code": 131047}}'),
}
KINDS = ["httpx", "httpx async", "httpx2", "httpx2 async", "requests", "aiohttp"]
ASYNC = ["httpx async", "httpx2 async", "aiohttp"]
READ_TIMEOUT: dict[str, Any] = {  # of the answer alone, so that it is the same exception on a machine of any speed
    "httpx": httpx.Timeout(MOST_SECONDS, read=0.2),
    "httpx async": httpx.Timeout(MOST_SECONDS, read=0.2),
    "httpx2": httpx2.Timeout(MOST_SECONDS, read=0.2),
    "httpx2 async": httpx2.Timeout(MOST_SECONDS, read=0.2),
    "requests": (MOST_SECONDS, 0.2),
    "aiohttp": aiohttp.ClientTimeout(sock_read=0.2),
}


@dataclass
class Api:
    """A stand-in for the API: the first segment of the path says how it answers."""

    port: int = 0
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def url(self, manner: str, endpoint: str = "messages") -> str:
        """Return the address of a number's endpoint."""
        return f"http://127.0.0.1:{self.port}/{manner}/{NUMBER}/{endpoint}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.seen.append((scope["method"], scope["path"], body))
        self.reached.set()
        _, manner, _ = scope["path"].split("/", 2)
        if manner in {"late", "cut"}:
            await self._in_pieces(manner, send)
        elif manner == "silent":
            await receive()  # until the client has gone
        else:
            status, content = ANSWERS[manner]
            headers = [JSON, (b"content-length", b"%d" % len(content))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    async def _in_pieces(self, manner: str, send: Any) -> None:
        """Send headers at once and the body when told to: whole without a length, or shorter than announced."""
        headers = [(b"content-length", b"1000")] if manner == "cut" else [JSON, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await asyncio.to_thread(self.go.wait, MOST_SECONDS)
        await send({"type": "http.response.body", "body": ACCEPTED[:20], "more_body": True})
        if manner == "late":
            await send({"type": "http.response.body", "body": ACCEPTED[20:]})


@pytest.fixture(scope="module")
def listening() -> Iterator[Api]:
    """The stand-in on loopback, one for all tests: starting and stopping it takes longer than most of them."""
    api = Api()
    with serving(lifespan="off") as start:
        api.port = start(api)
        yield api


@pytest.fixture
def api(listening: Api) -> Iterator[Api]:
    """The stand-in, as if it were new."""
    listening.seen = []
    listening.reached = threading.Event()
    listening.go = threading.Event()
    yield listening
    listening.go.set()


@pytest.fixture
def ear(clock: Clock) -> Iterator[Ear]:
    """An observer, not yet installed. Whatever a test does, it leaves nothing patched."""
    hooked = [
        (owner, name, vars(owner)[name])
        for owner, name in (
            *((module.Client, "send") for module in (httpx, httpx2)),
            *((module.AsyncClient, "send") for module in (httpx, httpx2)),
            (requests.Session, "send"),
            (aiohttp.ClientSession, "_request"),
        )
    ]
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)
    assert all(vars(owner)[name] is bare for owner, name, bare in hooked)


def call(kind: str, url: str, *, stream: bool = False, **options: Any) -> Any:
    """Make one POST with a client of `kind`. Return status and content, or the exception."""
    try:
        if kind.endswith("async") or kind == "aiohttp":
            return asyncio.run(acall(kind, url, stream=stream, **options))
        if kind == "requests":
            return _requests(url, stream=stream, **options)
        library: Any = {"httpx": httpx, "httpx2": httpx2}[kind]
        if "data" in options:
            options["content"] = options.pop("data")
        with library.Client(trust_env=False, timeout=MOST_SECONDS) as client:
            if stream:
                with client.stream("POST", url, **options) as response:
                    return response.status_code, response.is_stream_consumed, b"".join(response.iter_bytes())
            response = client.post(url, **options)
            return response.status_code, response.content
    except Exception as error:  # noqa: BLE001 - what comes out is what tests compare
        return type(error), re.sub("0x[0-9a-f]+", "", str(error))


def _requests(url: str, *, stream: bool, **options: Any) -> Any:
    options.setdefault("timeout", MOST_SECONDS)
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(url, stream=stream, **options)
        return response.status_code, response.raw.closed, b"".join(response.iter_content(7))


async def acall(kind: str, url: str, *, stream: bool = False, **options: Any) -> Any:
    """As `call`, for asynchronous clients."""
    if kind == "aiohttp":
        timeout = options.pop("timeout", aiohttp.ClientTimeout(MOST_SECONDS))
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, **options) as response,
        ):
            if stream:
                return response.status, b"".join([chunk async for chunk in response.content.iter_chunked(7)])
            return response.status, await response.read()
    library: Any = {"httpx async": httpx, "httpx2 async": httpx2}[kind]
    if "data" in options:
        options["content"] = options.pop("data")
    async with library.AsyncClient(trust_env=False, timeout=MOST_SECONDS) as client:
        if stream:
            async with client.stream("POST", url, **options) as response:
                return response.status_code, b"".join([chunk async for chunk in response.aiter_bytes()])
        response = await client.post(url, **options)
        return response.status_code, response.content


def as_bare(api: Api, ear: Ear, make: Callable[[], Any]) -> Any:
    """Make a call bare and watched. Client and server must see the same both times. Give what the client saw."""
    outcomes = []
    for watched in (False, True):
        if watched:
            http_hooks.install(ear)
        api.seen.clear()
        outcomes.append((make(), list(api.seen)))
    assert outcomes[0] == outcomes[1]
    return outcomes[0][0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", [bytes, bytes.decode])
def test_44_a_body_given_as_text_or_bytes_counts(
    api: Api, ear: Ear, kind: str, form: Callable[[bytes], object]
) -> None:
    """As a dict does."""
    as_bare(api, ear, lambda: call(kind, api.url("ok"), data=form(RAW)))
    assert ear.told() == [(True, "wamid.one", "")]


async def _pieces() -> AsyncIterator[bytes]:
    yield RAW[:10]
    yield RAW[10:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["generator", "async generator", "file", "iterator"])
def test_44_streams_are_never_consumed(api: Api, ear: Ear, kind: str, form: str, tmp_path: Path) -> None:
    """A body that can be read only once reaches the server whole, or fails as before. Hooks never read it.

    The log says once what to do instead.
    """
    path = tmp_path / "body"
    path.write_bytes(RAW)
    opened = ExitStack()
    make: Callable[[], Any] = {
        "generator": lambda: (piece for piece in (RAW[:10], RAW[10:])),
        "async generator": _pieces,
        "file": lambda: opened.enter_context(path.open("rb")),
        "iterator": lambda: iter([RAW]),
    }[form]
    with opened:
        as_bare(api, ear, lambda: call(kind, api.url("ok"), data=make()))
    assert ear.events == []
    assert ear.guard.advice.has_said(UNREAD)


def _moved(body: Any) -> Any:
    body.seek(3)
    return body


class Counting(io.BytesIO):
    """A body of the bot's own class, which may count what is read."""

    reads = 0

    def read(self, *size: Any) -> bytes:
        """Read, and count."""
        type(self).reads += 1
        return super().read(*size)

    def tell(self) -> int:
        """Say where the body is, and count."""
        type(self).reads += 1
        return super().tell()


def _closed() -> io.BytesIO:
    body = io.BytesIO(RAW)
    body.close()
    return body


MEMORY: dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(RAW),
    "memoryview": lambda: memoryview(RAW),
    "BytesIO": lambda: io.BytesIO(RAW),
    "BytesIO from a position": lambda: _moved(io.BytesIO(b"..." + RAW)),
    "BytesIO at its end": lambda: _moved(io.BytesIO(RAW[:3])),
    "a class derived from BytesIO": lambda: Counting(RAW),
    "closed BytesIO": _closed,
    "StringIO": lambda: io.StringIO(RAW.decode()),
    "StringIO from a position": lambda: _moved(io.StringIO("..." + RAW.decode())),
}
AIOHTTP: dict[str, Callable[[], Any]] = {
    "JsonPayload": lambda: aiohttp.JsonPayload(BODY),
    "BytesPayload of a bytearray": lambda: aiohttp.BytesPayload(bytearray(RAW)),
    "BytesPayload of a memoryview": lambda: aiohttp.BytesPayload(memoryview(RAW)),
    "StringPayload": lambda: aiohttp.StringPayload(RAW.decode()),
    "BytesIOPayload": lambda: aiohttp.BytesIOPayload(io.BytesIO(RAW)),
    "pairs": lambda: list(FORM.items()),
    "MultiDict": lambda: multidict.MultiDict(FORM),
    "FormData": lambda: aiohttp.FormData(FORM),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", MEMORY)
def test_44_a_body_in_memory_is_seen_and_stays_where_it_is(api: Api, ear: Ear, kind: str, form: str) -> None:
    """A client that takes it sends all of it, and one that refuses it raises as bare, which counts as refused."""
    made: list[Any] = []
    for watched in (False, True):
        if watched:
            http_hooks.install(ear)
        Counting.reads = 0
        api.seen.clear()
        outcome = call(kind, api.url("ok"), data=MEMORY[form]())
        answered = outcome[0] == 200
        # A server may see the start of a request that its client gives up.
        made.append((outcome, Counting.reads, list(api.seen) if answered else []))
    assert made[0] == made[1]
    if answered and api.seen[0][2] == RAW:
        assert ear.told() == [(True, "wamid.one", "")]
    else:
        assert [event.accepted for event in ear.events] in ([], [False])
    assert not ear.guard.advice.has_said(UNREAD)
    assert ear.guard.errors.total() == 0


@pytest.mark.parametrize("form", AIOHTTP)
def test_44_payloads_and_forms_of_aiohttp_are_seen(api: Api, ear: Ear, form: str) -> None:
    """They lie in memory as well."""
    as_bare(api, ear, lambda: asyncio.run(_posted(api.url("ok"), AIOHTTP[form])))
    assert ear.told() == [(True, "wamid.one", "")]


@pytest.mark.parametrize("form", ["JsonPayload", "FormData", "pairs"])
def test_44_a_session_that_is_also_watched_alone_counts_once(api: Api, ear: Ear, form: str) -> None:
    """Both hooks see one body, whatever they make of it."""
    http_hooks.install(ear)

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            undo = http_hooks.instrument_client(session, ear)
            async with session.post(api.url("ok"), data=AIOHTTP[form]()) as response:
                await response.read()
            undo()

    asyncio.run(main())
    assert ear.told() == [(True, "wamid.one", "")]


async def _posted(url: str, make: Callable[[], Any]) -> Any:
    async with aiohttp.ClientSession() as session, session.post(url, data=make()) as response:
        return response.status, await response.read()


@pytest.mark.parametrize("kind", KINDS)
def test_44_a_stream_to_another_address_is_nobody_s_business(api: Api, ear: Ear, kind: str) -> None:
    """Many APIs have a path that ends so. WhatsApp's names a number before."""
    url = api.url("ok").replace(NUMBER, "v1")
    as_bare(api, ear, lambda: call(kind, url, data=(piece for piece in (RAW,))))
    assert (ear.events, ear.guard.advice.has_said(UNREAD)) == ([], False)


@pytest.mark.parametrize("kind", ["httpx", "httpx2", "requests"])
def test_44_multipart_is_left_alone(api: Api, ear: Ear, kind: str) -> None:
    """An upload is no send, even on a send's address."""
    http_hooks.install(ear)
    assert call(kind, api.url("ok"), files={"file": ("a.json", io.BytesIO(RAW))})[0] == 200
    assert RAW in api.seen[0][2]
    assert ear.events == []


@pytest.mark.parametrize("kind", KINDS)
def test_44_a_streamed_answer_is_not_read(api: Api, ear: Ear, kind: str) -> None:
    """It is the bot's to read. The send counts by its status."""
    outcome = as_bare(api, ear, lambda: call(kind, api.url("ok"), json=BODY, stream=True))
    assert outcome[-1] == ACCEPTED
    (told,) = ear.told()
    assert told in {(True, "", ""), (True, "wamid.one", "")}  # aiohttp: where the body lay whole in the buffer


@pytest.mark.parametrize("kind", KINDS)
def test_44_a_timeout_is_as_bare(api: Api, ear: Ear, kind: str) -> None:
    """The same exception, counted as a timeout. The server may read the request after its client has gone."""
    bare = call(kind, api.url("silent"), json=BODY, timeout=READ_TIMEOUT[kind])
    http_hooks.install(ear)
    assert call(kind, api.url("silent"), json=BODY, timeout=READ_TIMEOUT[kind]) == bare
    assert issubclass(bare[0], Exception)
    assert ear.told() == [(False, "", "timeout")]


def test_44_a_timeout_of_the_whole_call_is_a_timeout(api: Api, ear: Ear) -> None:
    """Only aiohttp has one. Its exception tells how far the call has come."""
    http_hooks.install(ear)
    error, _ = call("aiohttp", api.url("silent"), json=BODY, timeout=aiohttp.ClientTimeout(total=0.1))
    assert issubclass(error, TimeoutError)
    assert ear.told() == [(False, "", "timeout")]


@pytest.mark.parametrize("kind", KINDS)
def test_44_a_refused_connection_is_as_bare(api: Api, ear: Ear, kind: str) -> None:
    """The same exception, counted as a connection error."""
    with socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{idle.getsockname()[1]}/{NUMBER}/messages"
        outcome = as_bare(api, ear, lambda: call(kind, url, json=BODY)[0])
    assert issubclass(outcome, Exception)
    assert ear.told() == [(False, "", "connection")]


@pytest.mark.parametrize("kind", ASYNC)
def test_44_a_cancelled_send_is_cancelled(api: Api, ear: Ear, kind: str) -> None:
    """The task ends as cancelled, and the send is counted as that."""

    async def main() -> bool:
        api.reached.clear()
        task = asyncio.create_task(acall(kind, api.url("silent"), json=BODY))
        await asyncio.to_thread(api.reached.wait, MOST_SECONDS)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert as_bare(api, ear, lambda: asyncio.run(main()))
    assert ear.told() == [(False, "", "cancelled")]


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_44_trio_is_as_asyncio(api: Api, ear: Ear, library: Any) -> None:
    """Answers and cancellation alike."""
    http_hooks.install(ear)

    async def main() -> None:
        async with library.AsyncClient(trust_env=False, timeout=MOST_SECONDS) as client:
            assert (await client.post(api.url("ok"), json=BODY)).content == ACCEPTED
            with trio.move_on_after(0.1) as scope:
                await client.post(api.url("silent"), json=BODY)
            assert scope.cancelled_caught

    trio.run(main)
    assert ear.told() == [(True, "wamid.one", ""), (False, "", "cancelled")]


# aiohttp, whose bodies come after the answer


async def _json(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    go()
    return await response.json()


async def _text(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    go()
    return await response.text()


async def _chunks(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    go()
    return b"".join([chunk async for chunk in response.content.iter_chunked(7)])


async def _twice(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    go()
    return await response.read(), await response.read()


async def _unread(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    return response.status


async def _raised(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    response.raise_for_status()
    raise ZeroDivisionError


async def _slowly(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    go()
    await response.content.wait_eof()
    return response.closed


async def _too_slowly(response: aiohttp.ClientResponse, go: Callable[[], None]) -> Any:
    return await asyncio.wait_for(response.read(), 0.1)


@pytest.mark.parametrize("manner", ["late", "cut"])
@pytest.mark.parametrize("use", [_json, _text, _twice, _slowly, _chunks, _unread, _raised, _too_slowly])
def test_44_aiohttp_s_body_stays_the_bot_s(api: Api, ear: Ear, manner: str, use: Any) -> None:
    """However the bot uses the response, it is as bare, counted once, and nothing of ours stays on it."""

    async def main() -> Any:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.post(api.url(manner), json=BODY) as response:
                    assert type(response) is aiohttp.ClientResponse
                    outcome = await use(response, api.go.set)
            except Exception as error:  # noqa: BLE001 - what comes out is compared
                outcome = type(error), str(error)
            return outcome, sorted(vars(response)), response.closed

    def make() -> Any:
        api.go.clear()
        try:
            return asyncio.run(main())
        finally:
            api.go.set()

    as_bare(api, ear, make)
    (told,) = ear.told()
    assert told[0]
    if manner == "cut" or use in {_unread, _raised, _too_slowly}:
        assert told[1] == ""
    elif use is not _chunks:  # there it depends on how the pieces meet
        assert told[1] == "wamid.one"


def test_44_aiohttp_s_unread_answer_is_counted_when_it_is_complete(api: Api, ear: Ear) -> None:
    """A response that the bot neither reads nor releases is counted, and its body is still there for the bot."""
    http_hooks.install(ear)

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            response = await session.post(api.url("late"), json=BODY)
            assert ear.events == []
            api.go.set()
            await response.content.wait_eof()
            assert ear.told() == [(True, "wamid.one", "")]
            assert await response.read() == ACCEPTED

    asyncio.run(main())
    assert len(ear.events) == 1


def test_44_aiohttp_s_answer_has_its_id_where_the_bot_keeps_the_read_alone(api: Api, ear: Ear) -> None:
    """As in `await (await session.post(…)).read()`."""
    http_hooks.install(ear)

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            reading = asyncio.ensure_future((await session.post(api.url("late"), json=BODY)).read())
            await asyncio.sleep(0)  # it waits for the first piece now
            api.go.set()
            assert await reading == ACCEPTED

    asyncio.run(main())
    assert ear.told() == [(True, "wamid.one", "")]


def test_44_an_answer_is_timed_when_it_comes_not_when_it_is_read(api: Api, ear: Ear, clock: Clock) -> None:
    """The bot may read the body late."""
    http_hooks.install(ear)
    began = clock()

    async def main() -> None:
        async with aiohttp.ClientSession() as session, session.post(api.url("late"), json=BODY) as response:
            clock.advance(60)
            api.go.set()
            await response.read()

    asyncio.run(main())
    assert (ear.events[0].received, ear.events[0].seconds) == (began, 0.0)


def test_44_aiohttp_raising_for_status_has_the_status(api: Api, ear: Ear) -> None:
    """The client throws the body away before anyone can read it."""

    async def main() -> Any:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            try:
                await session.post(api.url("rejected"), json=BODY)
            except aiohttp.ClientResponseError as error:
                return error.status

    assert as_bare(api, ear, lambda: asyncio.run(main())) == 400
    assert ear.told() == [(False, "", "400")]


def test_44_aiohttp_s_base_address_may_hold_the_number(api: Api, ear: Ear) -> None:
    """Sessions with a base address are given the last part of the path only."""
    http_hooks.install(ear)

    async def main() -> None:
        base = f"http://127.0.0.1:{api.port}/ok/{NUMBER}/"
        async with (
            aiohttp.ClientSession(base, raise_for_status=True) as session,
            session.post("messages", json=BODY),
        ):
            pass

    asyncio.run(main())
    assert [event.phone_number_id for event in ear.events] == [NUMBER]


@pytest.mark.filterwarnings("ignore")  # aiohttp's own, of a connection that nobody has given back
def test_44_an_answer_of_aiohttp_that_is_dropped_unread_is_counted(api: Api, ear: Ear) -> None:
    """It is known to be over when the response goes, at the latest."""
    http_hooks.install(ear)

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await session.post(api.url("ok"), json=BODY)

    asyncio.run(main())
    gc.collect()
    assert [event.accepted for event in ear.events] == [True]


def test_44_one_aiohttp_session_is_watched_without_a_warning(api: Api, ear: Ear) -> None:
    """Also in debug mode, where the session warns of attributes that are set on it."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            undo = http_hooks.instrument_client(session, ear)
            async with session.post(api.url("ok"), json=BODY) as response:
                assert await response.read() == ACCEPTED
            undo()
            assert "_request" not in vars(session)

    asyncio.run(main())
    assert ear.told() == [(True, "wamid.one", "")]


# Other traffic, other errors


@pytest.mark.parametrize("kind", KINDS)
def test_45_other_traffic_is_not_looked_at(api: Api, ear: Ear, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No body of another address is parsed, and nothing is counted."""
    monkeypatch.setattr(send_requests, "_fields", pytest.fail)
    as_bare(api, ear, lambda: call(kind, api.url("ok", "media"), json=BODY))
    assert ear.events == []


@pytest.mark.parametrize("kind", KINDS)
def test_1_a_bug_of_ours_leaves_the_call_as_bare(
    api: Api, ear: Ear, kind: str, monkeypatch: pytest.MonkeyPatch, swallowed: Any
) -> None:
    """Before the call and after it. Each is counted."""

    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    for name in ("recognise", "read_answer", "is_endpoint"):
        with monkeypatch.context() as patch:
            patch.setattr(send_requests, name, broken)
            outcome = as_bare(api, ear, lambda: call(kind, api.url("ok"), json=BODY))
        assert outcome[-1] == ACCEPTED
        assert ear.events == []
        assert [type(error) for error in swallowed.take("clients")][:1] == [ZeroDivisionError]
        http_hooks.remove(ear)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("base", [ValueError, KeyboardInterrupt, SystemExit, ExceptionGroup, GeneratorExit])
def test_3_and_4_an_exception_passes_as_the_same_object(ear: Ear, library: Any, base: Any) -> None:
    """With its cause and context as they were, whatever its kind."""
    http_hooks.install(ear)
    cause, before = OSError("cause"), LookupError("context")
    error = base("several", [OSError()]) if base is ExceptionGroup else base("one")
    error.__cause__, error.__context__ = cause, before

    def refuse(_: Any) -> Any:
        raise error

    with library.Client(transport=library.MockTransport(refuse)) as client, pytest.raises(base) as caught:
        client.post("https://graph.example/1/messages", json=BODY)
    assert caught.value is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (cause, before, True)
    assert len(ear.events) == 1


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_47_a_response_passes_as_the_same_object(ear: Ear, library: Any) -> None:
    """Stand-in transports go on working, and what they return is what the bot gets."""
    http_hooks.install(ear)
    made = []

    def accept(_: Any) -> Any:
        made.append(library.Response(200, content=ACCEPTED))
        return made[0]

    with library.Client(transport=library.MockTransport(accept)) as client:
        assert client.post("https://graph.example/1/messages", json=BODY) is made[0]
    assert ear.told() == [(True, "wamid.one", "")]


@pytest.mark.parametrize("kind", KINDS)
def test_48_our_own_calls_are_not_the_bot_s(api: Api, ear: Ear, kind: str) -> None:
    """In `unobserved`, in the tasks that it starts too."""
    http_hooks.install(ear)
    with http_hooks.unobserved():
        call(kind, api.url("ok"), json=BODY)
    assert len(api.seen) == 1
    assert ear.events == []


def test_a_wrong_call_fails_as_it_did(ear: Ear) -> None:
    """The client's own complaint comes through, and is no error of ours."""
    http_hooks.install(ear)
    with httpx.Client() as client, pytest.raises(TypeError, match="request"):
        client.send()  # type: ignore[call-arg]
    with requests.Session() as session, pytest.raises(ValueError, match="PreparedRequests"):
        session.send(requests.Request("POST", "https://graph.example/1/messages", json=BODY))  # type: ignore[arg-type]
    assert ear.events == []
