"""Cases 2, 7 and 40 to 43 of tests/safety/README.md: a decorated callable stays the same, and its time is right."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import types
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import trio

from chatvitals.events import Handled
from chatvitals.tracking import handlers
from tests.helpers.recorded_events import ListeningVitals

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


class Ticking:
    """Stands in for the clock that handlers are measured with."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


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


def named_like_itself(name: str) -> str:
    """Be pickled."""
    return f"I am {name}"


named_like_itself = ListeningVitals().handler("pickled")(named_like_itself)


# What it is


@pytest.mark.parametrize(
    ("function", "is_kind"),
    [
        (greet, inspect.isfunction),
        (agreet, inspect.iscoroutinefunction),
        (agreet, asyncio.iscoroutinefunction),
        (counting, inspect.isgeneratorfunction),
        (acounting, inspect.isasyncgenfunction),
    ],
)
def test_signature_annotations_and_kind_are_kept(
    mark: Mark, function: Callable[..., Any], is_kind: Callable[[Any], bool]
) -> None:
    """Frameworks look at all of these."""
    marked = mark(function)
    assert is_kind(marked)
    assert inspect.signature(marked) == inspect.signature(function)
    assert inspect.get_annotations(marked) == inspect.get_annotations(function)
    assert inspect.unwrap(marked) is function
    assert (marked.__name__, marked.__doc__, marked.__module__) == (
        function.__name__, function.__doc__, function.__module__,
    )  # fmt: skip


def test_arguments_and_results_pass_as_they_are(mark: Mark) -> None:
    """Positional-only, defaults, stars and keywords."""
    assert mark(greet)("a", 2, 3, 4, loud=True, x="y") == greet("a", 2, 3, 4, loud=True, x="y")
    assert asyncio.run(mark(agreet)("a", loud=True)) == "aTrue"


def test_a_module_level_function_is_pickled_by_its_name() -> None:
    """Celery, multiprocessing and the like send functions by name."""
    assert pickle.loads(pickle.dumps(named_like_itself)) is named_like_itself


def test_methods_class_methods_and_static_methods_work_in_both_orders(mark: Mark) -> None:
    """`self` and `cls` are what they were, also in subclasses."""

    class Bot:
        name = "bot"

        @mark
        def method(self, word: str) -> str:
            return f"{self.name} {word}"

        @mark
        @classmethod
        def inner_class(cls, word: str) -> str:
            return f"{cls.__name__} {word}"

        @classmethod
        @mark
        def outer_class(cls, word: str) -> str:
            return f"{cls.__name__} {word}"

        @mark
        @staticmethod
        def inner_static(word: str) -> str:
            return word

        @staticmethod
        @mark
        def outer_static(word: str) -> str:
            return word

        @mark
        @classmethod
        async def inner_async(cls, word: str) -> str:
            return f"{cls.__name__} {word}"

    class Sub(Bot):
        name = "sub"

    bot = Sub()
    assert bot.method("x") == Sub.method(bot, "x") == "sub x"
    for owner in (bot, Sub):
        assert owner.inner_class("x") == owner.outer_class("x") == "Sub x"
        assert owner.inner_static("x") == owner.outer_static("x") == "x"
        assert inspect.iscoroutinefunction(owner.inner_async)
        assert asyncio.run(owner.inner_async("x")) == "Sub x"
    assert str(inspect.signature(bot.method)) == str(inspect.signature(bot.inner_class)) == "(word: 'str') -> 'str'"
    assert mark(bot.method)("y") == "sub y"


class Plain:
    """An object that can be called."""

    def __init__(self) -> None:
        self.tag = "kept"

    def __call__(self, word: str) -> str:
        """Answer."""
        return f"called {word}"


class InTime:
    """An object that can be awaited when called."""

    async def __call__(self, word: str) -> str:
        """Answer in time."""
        return f"called {word}"


def test_partials_and_callable_objects_work(mark: Mark) -> None:
    """What runs when they are called decides how they are wrapped, and their names are what frameworks show."""
    partial = functools.partial(functools.partial(greet, "a"), loud=True)
    assert mark(partial)(7) == partial(7)
    assert inspect.signature(mark(partial)) == inspect.signature(partial)
    assert asyncio.run(mark(functools.partial(agreet, "a"))()) == "aFalse"
    assert mark(Plain())("x") == "called x"
    assert mark(Plain()).tag == "kept"
    assert [mark(one).__name__ for one in (partial, Plain())] == ["partial", "Plain"]
    for one in (InTime(), functools.partial(InTime())):
        assert inspect.iscoroutinefunction(mark(one))
        assert asyncio.run(mark(one)("x")) == "called x"
    assert mark(len)("four") == 4


@pytest.mark.parametrize("wrong", [None, 3, "name", property(lambda self: self)])
def test_what_cannot_be_called_is_refused_where_it_is_declared(mark: Mark, wrong: object) -> None:
    """The error names the allowed values."""
    with pytest.raises(TypeError, match="takes a function or another callable, not"):
        mark(wrong)


# Time and result


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


def finished(coroutine: Any) -> None:
    """Run a coroutine that never waits. No event loop has an opinion about its exceptions."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


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


# Functions that return a coroutine


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
