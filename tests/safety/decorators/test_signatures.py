"""Cases 2 and 40 of tests/safety/README.md: a decorated callable stays the same."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from tests.helpers.decorated import acounting, agreet, counting, greet
from tests.helpers.recorded_events import ListeningVitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Run = Callable[[Callable[[], Awaitable[Any]]], Any]
    Mark = Callable[[Any], Any]


def named_like_itself(name: str) -> str:
    """Be pickled."""
    return f"I am {name}"


named_like_itself = ListeningVitals().handler("pickled")(named_like_itself)


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
