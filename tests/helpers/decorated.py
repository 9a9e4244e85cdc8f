"""Functions of a bot to decorate, and their own exceptions."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Handled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    from tests.helpers.recorded_events import ListeningVitals

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


class Ticking:
    """Stands in for the clock that handlers are measured with."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def results(vitals: ListeningVitals) -> list[str]:
    """Return how the handlers ended."""
    return [event.result for event in vitals.heard(Handled)]


def greet(name: str, /, count: int = 1, *rest: int, loud: bool = False, **more: str) -> str:
    """Greet."""
    return f"{name}{count}{rest}{loud}{more}"


async def agreet(name: str, *, loud: bool = False) -> str:
    """Greet in time."""
    return f"{name}{loud}"


def counting(start: int) -> Generator[int]:
    """Count on."""
    yield from range(start, start + 3)


async def acounting(start: int) -> AsyncGenerator[int]:
    """Count on, in time."""
    for value in range(start, start + 3):
        yield value


class HostError(Exception):
    """The bot's own."""


def raising(error: BaseException) -> Callable[[], Any]:
    """Return a function that raises this very object from a cause."""

    def function() -> None:
        try:
            CONTEXT["context"]
        except KeyError:
            raise error from CAUSE

    return function


CAUSE = ValueError("cause")
CONTEXT: dict[str, int] = {}


def finished(coroutine: Any) -> None:
    """Run a coroutine that never waits. No event loop has an opinion about its exceptions."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def drive(made: Any) -> None:
    """Await or iterate the result of a call."""

    async def through() -> None:
        async for _ in made:
            pass

    if inspect.isasyncgen(made):
        asyncio.run(through())
    elif inspect.iscoroutine(made):
        asyncio.run(made)
    else:
        list(made)
