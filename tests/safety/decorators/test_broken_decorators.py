"""Cases 1 and 2 of tests/safety/README.md: with any error of ours, a decorated function behaves as bare."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatvitals.events import Handled
from tests.helpers.decorated import HostError, agreet, counting, greet, raising
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item


class Broken(ListeningVitals):
    """A Vitals whose every part raises."""

    def __init__(self) -> None:
        super().__init__()
        self._emit = self._fail

    def _fail(self, event: object) -> None:
        raise RuntimeError("our mistake")


class NoGuard:
    """A guard that is itself broken."""

    def __call__(self, where: str) -> Any:
        """Raise."""
        raise RuntimeError("the fence fell")

    def report(self, *args: object, **more: object) -> None:
        """Raise."""
        raise RuntimeError("the fence fell")


@pytest.mark.parametrize("guard", ["sound", "broken"])
def test_whatever_is_broken_on_our_side_leaves_the_function_as_bare(swallowed: Any, guard: str) -> None:
    """Results, exceptions and generators go on."""
    vitals = Broken()
    journey = vitals.journey("order", ["menu"])
    if guard == "broken":
        vitals._guard = NoGuard()  # type: ignore[assignment]
        journey = type(journey)(journey.plan, vitals._emit, vitals.clock, vitals._whose, vitals._guard)
    for mark in (vitals.handler("greet"), journey.step("menu")):
        with ListeningVitals().receive(item()):
            assert mark(greet)("a") == greet("a")
            assert asyncio.run(mark(agreet)("a")) == "aFalse"
            assert next(mark(counting)(3)) == 3
            with pytest.raises(HostError):
                mark(raising(HostError()))()
    assert bool(swallowed.take("handler")) == bool(swallowed.take("journey")) == (guard == "sound")


def test_an_argument_that_raises_when_looked_at_is_no_contact(vitals: ListeningVitals) -> None:
    """A proxy outside of its request is left alone, and the next argument is looked at."""

    class Proxy:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("outside of the request")

    assert vitals.handler("greet")(lambda *_: "as bare")(Proxy(), item() | {"metadata": {"phone_number_id": NUMBER}})
    assert [event.phone_number_id for event in vitals.heard(Handled)] == [NUMBER]
    assert PHONE not in repr(vitals.heard(Handled))
