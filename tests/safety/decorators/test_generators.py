"""Cases 3 and 41 of tests/safety/README.md: a decorated generator behaves as the bare generator."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.events import Handled
from tests.helpers.decorated import HostError
from tests.helpers.examples import examples
from tests.helpers.recorded_events import ListeningVitals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    Script = list[tuple[str, Any]]


# Bodies: what they see goes into `seen`, because a wrapper must not show there


def stubborn(seen: list[Any]) -> Generator[Any, Any, str]:
    """Count, swallow what is thrown in, and note what is being handled afterwards."""
    got: Any = 0
    for number in range(4):
        try:
            got = yield (number, got)
        except (KeyError, HostError) as error:
            seen.append(repr(error))
        seen.append(sys.exc_info()[0])
    return f"ended with {got}"


def translating(seen: list[Any]) -> Generator[Any, Any, str]:
    """Turn what is thrown in into another exception, after having let go of it."""
    caught = False
    try:
        yield 1
        yield 2
    except Exception:  # noqa: BLE001 - as a session's rollback
        caught = True
    finally:
        seen.append("closed")
    if caught:
        raise HostError("translated")
    return "ended"


def chaining(seen: list[Any]) -> Generator[Any, Any, str]:
    """Raise while handling what was thrown in."""
    try:
        seen.append((yield 1))
    except Exception as error:
        raise HostError("chained") from error
    return "ended"


def refusing(seen: list[Any]) -> Generator[Any, Any, str]:
    """Ignore that it is closed."""
    try:
        yield 1
    except GeneratorExit:
        seen.append("no")
        yield 2
    yield 3
    return "ended"


def failing(seen: list[Any]) -> Generator[Any, Any, str]:
    """Raise by itself."""
    seen.append((yield 1))
    raise HostError("by itself")


BODIES = [stubborn, translating, chaining, refusing, failing]


async def astubborn(seen: list[Any]) -> AsyncGenerator[Any, Any]:
    """As `stubborn`."""
    got: Any = 0
    for number in range(4):
        try:
            got = yield (number, got)
        except (KeyError, HostError) as error:
            seen.append(repr(error))
        seen.append(sys.exc_info()[0])
        await pause()


async def atranslating(seen: list[Any]) -> AsyncGenerator[Any, Any]:
    """As `translating`."""
    caught = False
    try:
        yield 1
        await pause()
        yield 2
    except Exception:  # noqa: BLE001 - as a session's rollback
        caught = True
    finally:
        await pause()
        seen.append("closed")
    if caught:
        raise HostError("translated")


async def achaining(seen: list[Any]) -> AsyncGenerator[Any, Any]:
    """As `chaining`."""
    try:
        seen.append((yield 1))
    except Exception as error:
        raise HostError("chained") from error


async def arefusing(seen: list[Any]) -> AsyncGenerator[Any, Any]:
    """As `refusing`."""
    try:
        yield 1
    except GeneratorExit:
        seen.append("no")
        yield 2
    yield 3


async def afailing(seen: list[Any]) -> AsyncGenerator[Any, Any]:
    """As `failing`."""
    seen.append((yield 1))
    await pause()
    raise HostError("by itself")


ABODIES = [astubborn, atranslating, achaining, arefusing, afailing]


async def pause() -> None:
    """Let go of the event loop, whichever it is."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        await trio.lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


THROWN = [KeyError, HostError, StopIteration, StopAsyncIteration, asyncio.CancelledError]
STEPS = st.one_of(
    st.tuples(st.just("send"), st.sampled_from([None, 7])),
    st.tuples(st.just("throw"), st.sampled_from(THROWN)),
)
SCRIPTS = st.builds(list.__add__, st.lists(STEPS, max_size=6), st.sampled_from([[], [("close", None)]]))


def chain(error: BaseException | None) -> list[str]:
    """Return an exception with everything behind it."""
    names = []
    while error is not None:
        names.append(f"{error!r} from {error.__cause__!r} {error.__suppress_context__}")
        error = error.__context__
    return names


def played(function: Any, script: Script) -> list[Any]:
    """Return all that can be seen of a generator that is driven by a script."""
    seen: list[Any] = []
    generator = function(seen)
    for step, value in script:
        try:
            match step:
                case "send":
                    seen.append(generator.send(value))
                case "throw":
                    seen.append(generator.throw(value("thrown")))
                case _:
                    seen.append(generator.close())
        except StopIteration as end:
            seen.append(("end", end.value))
        except BaseException as error:  # noqa: BLE001 - what it is, is what is compared
            seen.append(chain(error))
    for _ in range(3):  # a stubborn one is closed, so that no warning comes from it
        with suppress(RuntimeError):
            generator.close()
    return seen


async def aplayed(function: Any, script: Script) -> list[Any]:
    """Return all that can be seen of an async generator that is driven by a script."""
    seen: list[Any] = []
    generator = function(seen)
    for step, value in script:
        try:
            match step:
                case "send":
                    seen.append(await generator.asend(value))
                case "throw":
                    seen.append(await generator.athrow(value("thrown")))
                case _:
                    seen.append(await generator.aclose())
        except StopAsyncIteration:
            seen.append("end")
        except BaseException as error:  # noqa: BLE001 - what it is, is what is compared
            seen.append(chain(error))
    for _ in range(3):  # a stubborn one is closed, so that no warning comes from it
        with suppress(RuntimeError, StopAsyncIteration):
            await generator.aclose()
    return seen


@examples(150)
@given(st.sampled_from(BODIES), SCRIPTS)
def test_a_generator_cannot_be_told_from_the_bare_one(body: Callable[..., Any], script: Script) -> None:
    """Values, sent values, thrown exceptions, closing, the returned value, and what the body sees meanwhile."""
    vitals = ListeningVitals()
    marked = vitals.handler("session")(vitals.journey("order", ["menu"]).step("menu")(body))
    assert played(marked, script) == played(body, script)
    assert len(vitals.heard(Handled)) <= 1


@examples(150)
@given(st.sampled_from(ABODIES), SCRIPTS, st.sampled_from(["asyncio", "trio"]))
def test_an_async_generator_cannot_be_told_from_the_bare_one(
    body: Callable[..., Any], script: Script, loop: str
) -> None:
    """The same, on both event loops."""
    vitals = ListeningVitals()
    marked = vitals.handler("session")(vitals.journey("order", ["menu"]).step("menu")(body))

    def run(function: Any) -> list[Any]:
        found: list[Any] = (
            trio.run(aplayed, function, script) if loop == "trio" else asyncio.run(aplayed(function, script))
        )
        return found

    assert run(marked) == run(body)
    assert len(vitals.heard(Handled)) <= 1


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ([("send", None)] * 5, "ok"),
        ([("send", None), ("close", None)], "cancelled"),
        ([("send", None), ("throw", asyncio.CancelledError)], "cancelled"),
        ([("send", None), ("throw", ZeroDivisionError)], "error"),
    ],
)
def test_a_generator_counts_once_when_it_ends(script: Script, result: str) -> None:
    """Exhausted is ok. Closed before its end is cancelled. What it raises is an error."""
    vitals = ListeningVitals()
    played(vitals.handler("session")(stubborn), script)
    asyncio.run(aplayed(vitals.handler("session")(astubborn), script))
    assert [event.result for event in vitals.heard(Handled)] == [result, result]


def test_a_generator_that_is_dropped_counts_and_one_that_never_ran_does_not() -> None:
    """A client that leaves in the middle of a stream drops it."""
    vitals = ListeningVitals()
    marked = vitals.handler("stream")(stubborn)
    marked([])
    running = marked([])
    next(running)
    del running
    gc.collect()
    assert [event.result for event in vitals.heard(Handled)] == ["cancelled"]
