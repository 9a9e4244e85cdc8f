"""A stand-in for the API that answers in several manners, and one call through each client."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import httpx2
import requests

from chatvitals import http_hooks
from tests.helpers.asgi_server import body_of
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.ear import Ear

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
    """A stand-in for the API: the path says how it answers, and which test asks.

    A client that gives up leaves a request that a busy server may read when the next test runs. It is not noted there.
    """

    port: int = 0
    test: int = 0
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    go: threading.Event = field(default_factory=threading.Event)

    def url(self, manner: str, endpoint: str = "messages") -> str:
        """Return the address of a number's endpoint."""
        return f"http://127.0.0.1:{self.port}/{manner}/{self.test}/{NUMBER}/{endpoint}"

    def renew(self) -> None:
        """Begin with another test, as if the stand-in were new."""
        self.test += 1
        self.seen, self.reached, self.go = [], threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await body_of(receive)
        _, manner, test, _ = scope["path"].split("/", 3)
        if test != str(self.test):
            return
        self.seen.append((scope["method"], scope["path"], body))
        self.reached.set()
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
