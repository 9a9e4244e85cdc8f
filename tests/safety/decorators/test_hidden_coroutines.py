"""A function that returns a coroutine is measured until that coroutine has been awaited."""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Handled
from tests.helpers.decorated import HostError, Ticking, agreet, finished

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from tests.helpers.recorded_events import ListeningVitals

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


@types.coroutine
def pausing() -> Generator[None]:
    """Wait for whoever continues the coroutine."""
    yield


def hidden(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as many bots do: a plain function that returns the coroutine of another one."""

    def plain(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return plain


@pytest.mark.parametrize("error", [None, HostError("x"), asyncio.CancelledError()])
def test_a_coroutine_that_another_decorator_hides_is_measured_until_it_has_been_awaited(
    vitals: ListeningVitals, ticking: Ticking, error: BaseException | None
) -> None:
    """The seconds before and in the coroutine count, and those between do not."""

    async def slow() -> str:
        ticking.now += 50.0
        if error is not None:
            raise error
        return "done"

    @vitals.handler("slow")
    def begin() -> Any:
        ticking.now += 2.0
        return slow()

    coroutine = begin()
    assert inspect.iscoroutine(coroutine)
    assert vitals.heard(Handled) == []
    ticking.now += 1000.0
    if error is None:
        finished(coroutine)
    else:
        with pytest.raises(type(error)) as caught:
            coroutine.send(None)
        assert caught.value is error
    result = {HostError: "error", asyncio.CancelledError: "cancelled"}.get(type(error), "ok")  # type: ignore[arg-type]
    assert [(event.seconds, event.result) for event in vitals.heard(Handled)] == [(52.0, result)]


@pytest.mark.parametrize("wait", [pytest.param(False, id="dropped"), pytest.param(True, id="closed")])
def test_a_hidden_coroutine_that_nobody_awaits_warns_as_the_bare_one(
    mark: Mark, vitals: ListeningVitals, recwarn: pytest.WarningsRecorder, *, wait: bool
) -> None:
    """It warns once, with the name of the bot's function. A coroutine that was closed does not warn."""
    coroutine = mark(hidden(agreet))("a")
    if wait:
        coroutine.close()
    del coroutine
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == [] if wait else ["coroutine 'agreet' was never awaited"]
    assert vitals.heard(Handled) == []


def test_a_step_leaves_a_hidden_coroutine_as_it_is(vitals: ListeningVitals) -> None:
    """A step is reached at the call, so its end is of no interest."""
    coroutine = agreet("a")
    assert vitals.journey("order", ["menu"]).step("menu")(lambda: coroutine)() is coroutine
    coroutine.close()


def test_a_hidden_coroutine_that_refers_to_itself_is_freed_while_it_waits(vitals: ListeningVitals) -> None:
    """As the coroutine of a task that keeps its own task and is never continued."""
    kept: list[Any] = []

    async def wait() -> None:
        _myself = kept.pop()
        await pausing()

    outer = vitals.handler("wait")(hidden(wait))()
    kept.append(outer)
    outer.send(None)
    gone = weakref.ref(outer)
    del outer
    gc.collect()
    assert gone() is None
