"""Case 44 of tests/safety/README.md for aiohttp, whose bodies come after the answer."""

from __future__ import annotations

import asyncio
import gc
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import multidict
import pytest

from chatvitals import http_hooks
from tests.helpers.hooked_api import ACCEPTED, BODY, FORM, NUMBER, RAW, Api, as_bare

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers.ear import Ear

    Clock = Any  # the fake clock of conftest


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
        base = api.url("ok", "")
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
