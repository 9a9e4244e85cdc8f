"""Cases 7 and 40 to 43 of tests/safety/README.md: the time and the result of a decorated function are right."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import trio

from chatvitals.events import Handled
from tests.helpers.decorated import (
    CAUSE,
    HostError,
    Ticking,
    acounting,
    agreet,
    counting,
    drive,
    finished,
    greet,
    raising,
    results,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from tests.helpers.recorded_events import ListeningVitals

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


def test_the_time_of_a_coroutine_spans_its_awaits(vitals: ListeningVitals, ticking: Ticking, run: Run) -> None:
    """Calling it takes no time. Awaiting it does."""

    @vitals.handler("slow")
    async def slow() -> str:
        await trio.lowlevel.checkpoint() if run is trio.run else await asyncio.sleep(0)
        ticking.now += 50.0
        return "done"

    assert run(slow) == "done"
    assert [(event.seconds, event.result) for event in vitals.heard(Handled)] == [(50.0, "ok")]


def test_the_time_of_a_generator_runs_until_it_ends(vitals: ListeningVitals, ticking: Ticking) -> None:
    """A dependency with `yield` is there as long as its handler runs."""

    @vitals.handler("session")
    def session() -> Generator[int]:
        yield 1
        ticking.now += 2.0

    running = session()
    assert vitals.heard(Handled) == []
    assert next(running) == 1
    ticking.now += 3.0
    assert list(running) == []
    assert [event.seconds for event in vitals.heard(Handled)] == [5.0]


@pytest.mark.parametrize("error", [HostError("x"), KeyboardInterrupt(), SystemExit(3), ExceptionGroup("g", [CAUSE])])
@pytest.mark.parametrize("kind", ["plain", "coroutine", "generator", "async generator"])
def test_an_exception_passes_as_the_same_object(mark: Mark, kind: str, error: BaseException) -> None:
    """With its cause and its context, whatever it is, and it is counted as an error."""
    function = raising(error)

    async def coroutine() -> None:
        function()

    def generator() -> Generator[int]:
        yield 1
        function()

    async def async_generator() -> AsyncGenerator[int]:
        yield 1
        function()

    async def drain(iterator: AsyncGenerator[int]) -> None:
        async for _ in iterator:
            pass

    def call() -> None:
        match kind:
            case "plain":
                mark(function)()
            case "coroutine":
                finished(mark(coroutine)())
            case "generator":
                list(mark(generator)())
            case _:
                finished(drain(mark(async_generator)()))

    with pytest.raises(type(error)) as caught:
        call()
    assert caught.value is error
    assert error.__cause__ is CAUSE
    assert isinstance(error.__context__, KeyError)


def test_each_call_is_counted_once_with_its_result(vitals: ListeningVitals) -> None:
    """As ok or as an error, also where the arguments are wrong."""
    handler = vitals.handler("greet")
    handler(greet)("a")
    forms: Any = (greet, agreet, counting, acounting)
    functions: list[Callable[[], Any]] = [raising(HostError()), *forms]
    for function in functions:
        with pytest.raises((HostError, TypeError)):
            drive(handler(function)())
    assert results(vitals) == ["ok"] + 5 * ["error"]


def test_a_cancelled_task_is_counted_once_as_cancelled(vitals: ListeningVitals) -> None:
    """And stays cancelled."""
    waiting = vitals.handler("waiting")(asyncio.sleep)

    async def main() -> None:
        task = asyncio.create_task(waiting(3600))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(main())
    assert results(vitals) == ["cancelled"]


def test_a_cancelled_trio_task_is_counted_once_as_cancelled(vitals: ListeningVitals) -> None:
    """Trio's exception is another one."""
    waiting = vitals.handler("waiting")(trio.sleep_forever)

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await waiting()
        assert scope.cancelled_caught

    trio.run(main)
    assert results(vitals) == ["cancelled"]
