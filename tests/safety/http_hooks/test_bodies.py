"""Case 44 of tests/safety/README.md: each call is made bare and watched, over real sockets."""

from __future__ import annotations

import asyncio
import io
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

import aiohttp
import httpx
import httpx2
import pytest
import trio

from chatvitals import http_hooks
from chatvitals.http_hooks.observer import UNREAD
from tests.helpers.hooked_api import ACCEPTED, ASYNC, BODY, KINDS, NUMBER, RAW, READ_TIMEOUT, Api, acall, as_bare, call
from tests.helpers.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.helpers.ear import Ear

    Clock = Any  # the fake clock of conftest


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


class Noting(io.BytesIO):
    """A body of the bot's own class, which notes the module that calls it."""

    callers: ClassVar[list[str]] = []

    def read(self, *size: Any) -> bytes:
        """Read, and note who does."""
        self.callers.append(sys._getframe(1).f_globals["__name__"])
        return super().read(*size)

    def tell(self) -> int:
        """Say where the body is, and note who asks."""
        self.callers.append(sys._getframe(1).f_globals["__name__"])
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
    "a class derived from BytesIO": lambda: Noting(RAW),
    "closed BytesIO": _closed,
    "StringIO": lambda: io.StringIO(RAW.decode()),
    "StringIO from a position": lambda: _moved(io.StringIO("..." + RAW.decode())),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", MEMORY)
def test_44_a_body_in_memory_is_seen_and_stays_where_it_is(api: Api, ear: Ear, kind: str, form: str) -> None:
    """A client that takes it sends all of it, and one that refuses it raises as bare, which counts as refused.

    The number of reads is not compared: aiohttp stops to read once the answer is there, which a fast server decides.
    """
    Noting.callers.clear()
    made: list[Any] = []
    for watched in (False, True):
        if watched:
            http_hooks.install(ear)
        api.seen.clear()
        outcome = call(kind, api.url("ok"), data=MEMORY[form]())
        answered = outcome[0] == 200
        # A server may see the start of a request that its client gives up.
        made.append((outcome, list(api.seen) if answered else []))
    assert made[0] == made[1]
    assert not [name for name in Noting.callers if name.startswith("chatvitals")]
    if answered and api.seen[0][2] == RAW:
        assert ear.told() == [(True, "wamid.one", "")]
    else:
        assert [event.accepted for event in ear.events] in ([], [False])
    assert not ear.guard.advice.has_said(UNREAD)
    assert ear.guard.errors.total() == 0


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
