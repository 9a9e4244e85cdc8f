"""One POST through every client that hooks watch. Each function returns status and body as the bot reads them."""

from __future__ import annotations

import asyncio
import http.client
import json as encoder
import ssl
import urllib.error
import urllib.request
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import httpx
import httpx2
import requests
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable

    Post = Callable[..., tuple[int, bytes]]

PATIENCE = 60
_TLS = ssl.create_default_context()  # one for all clients, since httpx takes 20 ms to make its own


def _options(raw: object, form: object, name: str = "data", **options: Any) -> dict[str, Any]:
    """Return the keywords of a client, which calls a body `name` and a form `data`."""
    if raw is not None:
        options[name] = raw
    elif form is not None:
        options["data"] = form
    return options


def _httpx(
    library: Any,
    url: str,
    *,
    asynchronous: bool = False,
    stream: bool = False,
    redirects: bool = False,
    raw: Any = None,
    form: Any = None,
    **more: Any,
) -> tuple[int, bytes]:
    options = _options(raw, form, "content", **more)
    settings = {"verify": _TLS, "trust_env": False, "timeout": PATIENCE, "follow_redirects": redirects}
    if asynchronous:
        return asyncio.run(_httpx_async(library.AsyncClient(**settings), url, options, stream=stream))
    with library.Client(**settings) as client:
        if not stream:
            response = client.post(url, **options)
            return response.status_code, response.content
        with client.stream("POST", url, **options) as response:
            return response.status_code, b"".join(response.iter_bytes(7))


async def _httpx_async(client: Any, url: str, options: dict[str, Any], *, stream: bool) -> tuple[int, bytes]:
    async with client:
        if not stream:
            response = await client.post(url, **options)
            return response.status_code, response.content
        async with client.stream("POST", url, **options) as response:
            return response.status_code, await response.aread()


def _requests(
    url: str, *, stream: bool = False, redirects: bool = False, raw: Any = None, form: Any = None, **more: Any
) -> tuple[int, bytes]:
    options = _options(raw, form, **more)
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(url, stream=stream, allow_redirects=redirects, timeout=PATIENCE, **options)
        return response.status_code, response.content


def _aiohttp(url: str, *, redirects: bool = False, raw: Any = None, form: Any = None, **more: Any) -> tuple[int, bytes]:
    async def main() -> tuple[int, bytes]:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, allow_redirects=redirects, **_options(raw, form, **more)) as response,
        ):
            return response.status, await response.read()

    return asyncio.run(main())


def _urllib3(
    url: str,
    *,
    pool: bool = False,
    late: bool = False,
    redirects: bool = False,
    raw: Any = None,
    form: Any = None,
    **more: Any,
) -> tuple[int, bytes]:
    if raw is not None:
        more["body"] = raw
    elif form is not None:
        more |= {"fields": form, "encode_multipart": False}
    options = {"redirect": redirects, "preload_content": not late, "timeout": PATIENCE, **more}
    if pool:
        address = urllib3.util.parse_url(url)
        with urllib3.HTTPConnectionPool(address.host or "", address.port) as client:
            response = client.request("POST", address.request_uri, **options)
            return response.status, response.data
    with urllib3.PoolManager() as manager:
        response = manager.request("POST", url, **options)
        return response.status, b"".join(response.stream(7)) if late else response.data


def _encoded(raw: Any, form: Any, json: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
    """Return the body and headers for a client without its own encoders."""
    if json is not None:
        return encoder.dumps(json).encode(), {"Content-Type": "application/json", **headers}
    return (raw, headers) if raw is not None else (urlencode(form).encode(), headers)


def _http_client(url: str, *, raw: Any = None, form: Any = None, json: Any = None, headers: Any) -> tuple[int, bytes]:
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    try:
        connection.request("POST", f"/{path}", *_encoded(raw, form, json, headers))
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def _urllib(url: str, *, raw: Any = None, form: Any = None, json: Any = None, headers: Any) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, *_encoded(raw, form, json, headers))
    try:
        with opener.open(request, timeout=PATIENCE) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


CLIENTS: dict[str, Post] = {
    "httpx": partial(_httpx, httpx),
    "httpx, streamed": partial(_httpx, httpx, stream=True),
    "httpx async": partial(_httpx, httpx, asynchronous=True),
    "httpx async, streamed": partial(_httpx, httpx, asynchronous=True, stream=True),
    "httpx2": partial(_httpx, httpx2),
    "httpx2 async": partial(_httpx, httpx2, asynchronous=True),
    "httpx2 async, streamed": partial(_httpx, httpx2, asynchronous=True, stream=True),
    "requests": _requests,
    "requests, streamed": partial(_requests, stream=True),
    "aiohttp": _aiohttp,
    "urllib3": _urllib3,
    "urllib3, streamed": partial(_urllib3, late=True),
    "urllib3's pool": partial(_urllib3, pool=True),
    "urllib3's pool, read late": partial(_urllib3, pool=True, late=True),
    "http.client": _http_client,
    "urllib.request": _urllib,
}
FOLLOW_NO_REDIRECT = {"http.client", "urllib.request"}
"""Clients that follow no redirect of a POST, or only by a request of its own without the body."""
