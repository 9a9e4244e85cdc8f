"""Sends through a client of httpx without a network, and another instrumentation of it."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx
import httpx2
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator


HOOKED = [
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (requests.Session, "send"),
    (aiohttp.ClientSession, "_request"),
]
URL = "https://graph.example/v24.0/123/messages"
CLIENT: Any = httpx.Client  # whose method tests assign
BODY = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hi"}}


def accept(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"messages": [{"id": "wamid.one"}]})


def send(client: httpx.Client) -> None:
    """Make one send."""
    client.post(URL, json=BODY)


@contextmanager
def leaving_no_hook() -> Iterator[None]:
    """Fail what leaves a method of a client patched."""
    before = [vars(owner)[name] for owner, name in HOOKED]
    yield
    assert [vars(owner)[name] for owner, name in HOOKED] == before


class Other:
    """Another instrumentation of `httpx.Client.send`, in the manner of the well-known ones."""

    def __init__(self) -> None:
        self.calls = 0
        self.bare = httpx.Client.send

    def __enter__(self) -> Self:
        bare = self.bare

        @functools.wraps(bare)
        def traced(client: httpx.Client, request: httpx.Request, **kwargs: Any) -> httpx.Response:
            self.calls += 1
            return bare(client, request, **kwargs)

        vars(traced)["instrumented_by"] = self
        CLIENT.send = traced
        return self

    def __exit__(self, *_: object) -> None:
        """Undo as they do: if the attribute carries our mark, what it wraps goes back."""
        attribute: Any = httpx.Client.send
        if getattr(attribute, "instrumented_by", None) is self:
            CLIENT.send = attribute.__wrapped__
