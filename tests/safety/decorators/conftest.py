"""A Vitals to listen to, decorators of it, and both event loops."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import trio

from chatvitals.tracking import handlers
from tests.helpers.decorated import Ticking
from tests.helpers.recorded_events import ListeningVitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> Ticking:
    """The seconds of handlers, moved by hand."""
    clock = Ticking()
    monkeypatch.setattr(handlers, "perf_counter", clock)
    return clock


@pytest.fixture
def vitals() -> ListeningVitals:
    """A Vitals to listen to."""
    return ListeningVitals()


@pytest.fixture(params=["handler", "step", "both"])
def mark(request: pytest.FixtureRequest, vitals: ListeningVitals) -> Mark:
    """A handler's decorator, a step's, and one upon the other."""
    handler = vitals.handler("greet")
    step = vitals.journey("order", ["menu"]).step("menu")
    marks: dict[str, Mark] = {"handler": handler, "step": step, "both": lambda function: handler(step(function))}
    return marks[request.param]


@pytest.fixture(params=[lambda f: asyncio.run(f()), trio.run], ids=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Run:
    """Both event loops."""
    given: Run = request.param
    return given
