"""Cases 41 to 43 of tests/safety/README.md in a real FastAPI app: dependencies, thread pool, contexts."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any

import anyio
import anyio.lowlevel
import httpx
import pytest
import trio
from fastapi import Depends, FastAPI, Header

from chatvitals import context
from chatvitals.events import Handled, Step
from chatvitals.metrics import catalogue
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item, webhook

OTHER_PHONE = "15550004322"


@pytest.fixture(params=["asyncio", "trio"])
def post(request: pytest.FixtureRequest) -> Callable[..., list[httpx.Response]]:
    """Post bodies to `/webhook` of an app, all at once, on both event loops."""

    def run(app: Any, *bodies: Any, path: str = "/webhook") -> list[httpx.Response]:
        found: dict[int, httpx.Response] = {}

        async def one(client: httpx.AsyncClient, index: int) -> None:
            found[index] = await client.post(path, json=bodies[index], headers={"x-word": f"word {index}"})

        async def main() -> None:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with (
                httpx.AsyncClient(transport=transport, base_url="http://bot") as client,
                anyio.create_task_group() as group,
            ):
                for index in range(len(bodies)):
                    group.start_soon(one, client, index)

        anyio.run(main, backend=request.param)
        return [found[index] for index in range(len(bodies))]

    return run


def app_of(vitals: ListeningVitals) -> tuple[FastAPI, list[str]]:
    """Return an app with every kind of decorated callable, and a list of what its dependencies did."""
    app, did = FastAPI(), []
    journey = vitals.journey("order", ["menu", "session", "object"])

    @vitals.handler("dependency")
    @journey.step("session")
    async def session(x_word: Annotated[str, Header()]) -> AsyncGenerator[str]:
        did.append("open")
        try:
            yield x_word.upper()
        except ValueError:
            did.append("rollback")
            raise
        finally:
            did.append("close")

    @vitals.handler("sync dependency")
    def settings() -> Generator[int]:
        yield 42
        did.append("settings closed")

    class Checked:
        @vitals.handler("object")
        @journey.step("object")
        def __call__(self, x_word: Annotated[str, Header()]) -> str:
            return x_word[-1]

    @app.post("/webhook")
    @vitals.handler("webhook")
    @journey.step("menu")
    async def handle(
        body: dict[str, Any],
        word: Annotated[str, Depends(session)],
        number: Annotated[int, Depends(settings)],
        last: Annotated[str, Depends(Checked())],
    ) -> dict[str, Any]:
        """Answer."""
        await anyio.lowlevel.checkpoint()
        if "boom" in body:
            raise ValueError("boom")
        return {"word": word, "number": number, "last": last, "who": context.current()}

    vitals.instrument_app(app)
    return app, did


def test_dependency_injection_works_through_the_decorators(
    vitals: ListeningVitals, post: Callable[..., list[httpx.Response]]
) -> None:
    """Headers, bodies, generators and callable objects are injected, and all know whose message it is."""
    app, did = app_of(vitals)
    (response,) = post(app, webhook(item()))
    assert response.json() == {"word": "WORD 0", "number": 42, "last": "0", "who": [NUMBER, PHONE, ""]}
    assert sorted(did) == ["close", "open", "settings closed"]
    handled = {event.handler: (event.phone_number_id, event.result) for event in vitals.heard(Handled)}
    names = ["dependency", "object", "sync dependency", "webhook"]
    assert handled == dict.fromkeys(names, (NUMBER, "ok"))
    assert sorted(event.step for event in vitals.heard(Step)) == ["menu", "object", "session"]


def test_the_description_of_the_api_is_as_bare(vitals: ListeningVitals) -> None:
    """Parameters, bodies, names and docstrings are what FastAPI reads from the bare functions."""
    plain_app, _ = app_of(BareVitals())
    app, _ = app_of(vitals)
    assert app.openapi() == plain_app.openapi()


class BareVitals(ListeningVitals):
    """One whose decorators do nothing."""

    def handler(self, name: str) -> Callable[[Any], Any]:
        """Return what returns the function."""
        return lambda function: function

    def journey(self, name: str, steps: Any, **more: Any) -> Any:
        """Return what has nothing but `step`."""
        return SimpleNamespace(step=self.handler)


def test_an_exception_reaches_the_dependency_and_the_server(
    vitals: ListeningVitals, post: Callable[..., list[httpx.Response]]
) -> None:
    """A session rolls back, the answer is 500, and all is counted as errors where it passed."""
    app, did = app_of(vitals)
    (response,) = post(app, webhook(item()) | {"boom": True})
    assert response.status_code == 500
    assert [what for what in did if what != "settings closed"] == ["open", "rollback", "close"]
    handled = {event.handler: event.result for event in vitals.heard(Handled)}
    assert (handled["webhook"], handled["dependency"]) == ("error", "error")
    assert [event.step for event in vitals.heard(Step) if event.step == "menu"] == ["menu"]


def test_requests_at_once_each_know_their_own_contact(
    vitals: ListeningVitals, post: Callable[..., list[httpx.Response]]
) -> None:
    """What is bound in one request is never seen by another, before, during or after."""
    app, _ = app_of(vitals)
    phones = [f"1555000{number}" for number in range(4321, 4341)]
    responses = post(app, *(webhook(item(phone)) for phone in phones))
    assert [response.json()["who"][1] for response in responses] == phones
    assert sorted(event.wa_id for event in vitals.heard(Step) if event.step == "menu") == phones
    (response,) = post(app, {"no": "webhook"})
    assert response.json()["who"] is None
    assert context.current() is None


def test_handlers_in_the_thread_pool_know_their_contact(
    vitals: ListeningVitals, post: Callable[..., list[httpx.Response]]
) -> None:
    """FastAPI runs `def` handlers on threads that serve one request after the other."""
    app = FastAPI()
    journey = vitals.journey("order", ["menu"])

    @app.post("/webhook")
    @vitals.handler("sync")
    @journey.step("menu")
    def handle(body: dict[str, Any], x_word: Annotated[str, Header()]) -> Any:
        with journey.step("menu"):
            return {"who": context.current(), "word": x_word}

    vitals.instrument_app(app)
    phones = [f"1555000{number}" for number in range(4321, 4333)]
    responses = post(app, *(webhook(item(phone)) for phone in phones))
    assert [response.json()["who"][1] for response in responses] == phones
    assert sorted(event.wa_id for event in vitals.heard(Step)) == sorted(2 * phones)
    assert post(app, {"no": "webhook"})[0].json()["who"] is None


def test_a_background_task_knows_its_contact_and_is_no_part_of_the_handler(vitals: ListeningVitals) -> None:
    """Tasks that are started in a request keep its contact. One started before has none."""
    journey = vitals.journey("order", ["menu"])

    @journey.step("menu")
    async def work(go: asyncio.Event) -> None:
        await go.wait()

    async def main() -> None:
        go = asyncio.Event()
        before = asyncio.create_task(work(go))
        with vitals.receive(item()):
            during = asyncio.create_task(work(go))
            there = asyncio.create_task(asyncio.to_thread(context.current))
        after = asyncio.create_task(work(go))
        go.set()
        await asyncio.gather(before, during, after)
        assert await there == (NUMBER, PHONE, "")

    asyncio.run(main())
    assert [event.wa_id for event in vitals.heard(Step)] == [PHONE]
    assert vitals.problems("no_contact") == 2


def test_no_token_is_held_across_a_yield(vitals: ListeningVitals) -> None:
    """A generator that is closed in another context leaves both contexts as they were."""
    step = vitals.journey("order", ["menu"]).step("menu")

    @vitals.handler("stream")
    @step
    async def stream() -> AsyncGenerator[Any]:
        with vitals.receive(item()):
            yield context.current()

    async def first(running: AsyncGenerator[Any]) -> Any:
        return await anext(running)

    async def main() -> None:
        with vitals.receive(item(OTHER_PHONE)):
            running = stream()
            assert (await asyncio.create_task(first(running))).wa_id == PHONE
            await asyncio.create_task(running.aclose())
            current = context.current()
            assert current is not None
            assert current.wa_id == OTHER_PHONE
        assert context.current() is None

    asyncio.run(main())


def test_trio_threads_know_their_contact(vitals: ListeningVitals) -> None:
    """As asyncio's."""
    handle = vitals.handler("sync")(vitals.journey("order", ["menu"]).step("menu")(context.current))

    async def main() -> None:
        with vitals.receive(item()):
            assert await trio.to_thread.run_sync(handle) == (NUMBER, PHONE, "")
        assert await trio.to_thread.run_sync(handle) is None

    trio.run(main)
    assert [event.phone_number_id for event in vitals.heard(Handled)] == [NUMBER, ""]


def test_handlers_show_as_histograms_by_name_and_result(vitals: ListeningVitals) -> None:
    """`handler_seconds` has a series for each name and result."""
    with vitals.receive(item()):
        vitals.handler("greet")(partial(json.loads, "1"))()
        with pytest.raises(ValueError, match="char"):
            vitals.handler("greet")(json.loads)("{")
    series = {labels for (name, labels, _) in vitals.cells() if name == catalogue.HANDLER_SECONDS_FAMILY.name}
    assert series == {(NUMBER, "greet", "ok"), (NUMBER, "greet", "error")}
