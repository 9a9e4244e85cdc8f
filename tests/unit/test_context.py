"""The current contact: handlers, tasks and threads see it, and nothing sees it afterwards."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals import context
from chatvitals.context import ContactIds, Handling, Tag
from chatvitals.events import Message, Status
from chatvitals.pipeline.raw_webhook import contacts_of
from chatvitals.whatsapp.contact_matching import find, matches

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from chatvitals.events import Event

ADA = ContactIds("N", "15550001", "US.1")
BOB = ContactIds("N", "15550002", "US.2")


def text(phone: str = "15550001", user: str = "", *, number: str = "N", group: bool = False) -> Message:
    return Message(phone_number_id=number, wa_id=phone, user_id=user, id=f"{phone}{user}", type="text", group=group)


@pytest.mark.parametrize(
    ("known", "number", "phone", "user", "same"),
    [
        (ADA, "N", "15550001", "", True),
        (ADA, "N", "", "US.1", True),
        (ADA, "", "15550001", "", True),
        (ADA, "M", "15550001", "US.1", False),
        (ADA, "N", "15550002", "", False),
        (ADA, "N", "15550002", "US.1", True),
        (ADA, "N", "", "", False),
        (ContactIds("", "15550001", ""), "N", "15550001", "", True),
        (ContactIds("N", "", "US.1"), "N", "15550001", "", False),
        (ContactIds("N", "", ""), "N", "", "", False),
    ],
)
def test_ids_match_where_one_of_them_is_the_same(
    known: ContactIds,
    number: str,
    phone: str,
    user: str,
    same: bool,  # noqa: FBT001 - a table's column
) -> None:
    """Any of the ids may be missing. What one side does not know decides nothing."""
    assert matches(known, number, phone, user) is same


@pytest.mark.parametrize(
    ("given", "phone", "user"),
    [
        ("393331234567", "393331234567", ""),
        ("+39 333 1234567", "+39 333 1234567", ""),
        ("US.90000000000000000001", "", "US.90000000000000000001"),
        ("it.12", "", "it.12"),
        ("12.34", "12.34", ""),
        ("U", "U", ""),
        ("", "", ""),
    ],
)
def test_one_id_is_told_apart_by_its_form(given: str, phone: str, user: str) -> None:
    """A business-scoped user id begins with a country and a dot."""
    assert context.named("N", given) == ContactIds("N", phone, user)


def test_the_contacts_of_a_webhook_are_those_who_wrote_each_once() -> None:
    """Statuses, group messages and messages of nobody name none."""
    events: list[Event] = [
        Status(phone_number_id="N", wa_id="15550009", id="s", status="read"),
        text(),
        text(),
        text("15550002", "US.2"),
        text("15550003", group=True),
        text(""),
    ]
    assert contacts_of(events) == (ContactIds("N", "15550001", ""), BOB)


def test_one_person_under_several_ids_is_one_contact() -> None:
    """A batch may show one person by other ids, and a phone number in two spellings."""
    events: list[Event] = [text("5511987654321"), text("551187654321", "BR.1"), text("", "BR.1"), text("15550002")]
    assert contacts_of(events) == (ContactIds("N", "5511987654321", "BR.1"), ContactIds("N", "15550002", ""))


def test_nobody_is_handled_outside() -> None:
    """Without a webhook there is no contact."""
    assert context.current() is None
    assert find(context.handled(), "N", "15550001", "") is None
    assert context.tag() == Tag()


def test_the_only_contact_of_a_webhook_is_the_current_one_and_only_within() -> None:
    """The binding ends with the block, also by an exception."""
    with pytest.raises(KeyError), context.bound(Handling((ADA,))):  # noqa: PT012 - inside and outside are the point
        assert context.current() == ADA
        raise KeyError
    assert context.current() is None


def test_a_batch_leaves_it_open_and_finds_by_id() -> None:
    """With several contacts in one POST there is no current contact, but ids still find each contact."""
    with context.bound(Handling((ADA, BOB))):
        assert context.current() is None
        assert find(context.handled(), "N", "15550002", "") == BOB
        assert find(context.handled(), "", "", "US.1") == ADA
        assert find(context.handled(), "M", "15550002", "") is None


def test_a_handling_that_is_filled_in_later_is_seen_by_tasks_that_began_before() -> None:
    """Whichever task reads the body, every task of the request sees the same contacts."""

    async def request() -> ContactIds | None:
        handling = Handling()
        with context.bound(handling):
            read = asyncio.Event()

            async def handler() -> ContactIds | None:
                await read.wait()
                return context.current()

            task = asyncio.create_task(handler())
            await asyncio.sleep(0)
            handling.source = Handling((ADA,))
            read.set()
            return await task

    assert asyncio.run(request()) == ADA


def test_it_follows_into_tasks_threads_and_callbacks() -> None:
    """A task that a handler starts knows the contact of the message."""

    async def request() -> list[ContactIds | None]:
        loop = asyncio.get_running_loop()
        called: asyncio.Future[ContactIds | None] = loop.create_future()
        with context.bound(Handling((ADA,))):

            async def nested() -> ContactIds | None:
                return await asyncio.create_task(asyncio.to_thread(context.current))

            loop.call_soon(lambda: called.set_result(context.current()))
            later = asyncio.create_task(nested())
            found = [await asyncio.to_thread(context.current), *await asyncio.gather(nested(), nested())]
        return [*found, await later, await called]  # a background task outlives the request

    assert asyncio.run(request()) == [ADA] * 5


def test_the_next_request_sees_nothing_of_the_one_before() -> None:
    """Requests that run at once or one after another on one loop see their own contact only."""

    async def request(contact: ContactIds, started: asyncio.Barrier) -> tuple[ContactIds | None, ContactIds | None]:
        with context.bound(Handling((contact,))):
            await started.wait()
            return context.current(), await asyncio.to_thread(context.current)

    async def serve() -> None:
        both = asyncio.Barrier(2)
        found = await asyncio.gather(request(ADA, both), request(BOB, both))
        assert list(found) == [(ADA, ADA), (BOB, BOB)]
        assert context.current() is None
        assert await asyncio.to_thread(context.current) is None

    asyncio.run(serve())


def test_a_plain_thread_sees_nothing_unless_it_is_given_the_context() -> None:
    """As with every context variable. There, calls take `contact=`."""
    seen: list[ContactIds | None] = []

    def look() -> None:
        seen.append(context.current())

    with context.bound(Handling((ADA,))):
        copied = contextvars.copy_context()
        for target in (look, lambda: copied.run(look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [None, ADA]


def test_bindings_nest() -> None:
    """The inner one counts until it ends."""
    with context.bound(Handling((ADA,))):
        with context.bound(Handling((BOB,))):
            assert context.current() == BOB
        assert context.current() == ADA


async def _first(stream: AsyncGenerator[ContactIds | None]) -> ContactIds | None:
    return await anext(stream)


def test_a_binding_that_ends_in_another_context_raises_nothing() -> None:
    """A generator that a framework finishes elsewhere must not break the bot."""

    async def handler() -> AsyncGenerator[ContactIds | None]:
        with context.bound(Handling((ADA,))):
            yield context.current()

    async def request() -> ContactIds | None:
        stream = handler()
        first: ContactIds | None = await asyncio.create_task(_first(stream))
        await asyncio.create_task(stream.aclose())
        return first

    assert asyncio.run(request()) == ADA
    assert context.current() is None


def test_a_tag_is_about_the_sends_of_its_block() -> None:
    """Tags nest, and end with their block."""
    with context.tagged(Tag("campaign")):
        with context.tagged(Tag("reply", "human")):
            assert context.tag() == Tag("reply", "human")
        assert context.tag() == Tag("campaign", None)
    assert context.tag() == Tag()
