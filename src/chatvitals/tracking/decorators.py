"""Wrapping a callable of any kind so that it stays what it was: signature, annotations, async-ness, exceptions."""

from __future__ import annotations

import functools
import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import TypeAlias

    Finish: TypeAlias = Callable[[BaseException | None], None]
    Begin: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Finish]
    """Called with the arguments of a call; returns what to call with its exception, or None, when it is over.
    What either raises is lost: the function is then as bare."""

F = TypeVar("F")


def wrap(function: F, begin: Begin) -> F:
    """Return `function` wrapped so that `begin` sees each call, and what it returns sees the end of it.

    Coroutine functions end when they have been awaited, generators when they are exhausted or closed. Methods, class
    and static methods, partials and callable objects keep working as what they are.

    Raises:
        TypeError: `function` is not callable.

    """
    wrapped: Any
    if isinstance(function, (classmethod, staticmethod)):
        wrapped = type(function)(wrap(function.__func__, begin))
        return wrapped  # type: ignore[no-any-return]
    if not callable(function):
        raise TypeError(f"a decorator of chatvitals takes a function or another callable, not {function!r}")
    target: Callable[..., Any] = function
    kind = _called(target)
    if inspect.iscoroutinefunction(kind) or inspect.iscoroutinefunction(target):  # an object may be marked as one
        wrapped = _wrap_coroutine(target, begin)
    elif inspect.isasyncgenfunction(kind):
        wrapped = _wrap_async_generator(target, begin)
    elif inspect.isgeneratorfunction(kind):
        wrapped = _wrap_generator(target, begin)
    else:
        wrapped = _wrap_plain(target, begin)
    if not hasattr(target, "__name__"):  # partials and callable objects: frameworks show these names
        wrapped.__name__ = wrapped.__qualname__ = type(target).__name__
    return wrapped  # type: ignore[no-any-return]


def is_generator(function: Any) -> bool:
    """Return whether a call of `function` returns a generator, so that its caller runs between two values."""
    target = getattr(function, "__func__", function)
    if not callable(target):
        return False
    kind = _called(target)
    return inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind)


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs when `function` is called, below partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _begun(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Finish:
    """Begin a call; whatever is broken on our side leaves the function as bare, even where a guard is broken."""
    try:
        finish = begin(args, kwargs)
    except Exception:  # noqa: BLE001 - the last fence: the guard behind it has failed
        return _nothing

    def fenced(error: BaseException | None) -> None:
        with suppress(Exception):
            finish(error)

    return fenced


def _nothing(_: BaseException | None) -> None:
    """Do nothing at the end of a call."""


def _wrap_plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        finish = _begun(begin, args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            finish(error)
            raise
        finish(None)
        return result

    return wrapper


def _wrap_coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        finish = _begun(begin, args, kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            finish(error)
            raise
        finish(None)
        return result

    return wrapper


def _wrap_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        finish = _begun(begin, args, kwargs)
        try:
            result = yield from function(*args, **kwargs)
        except BaseException as error:
            finish(error)
            raise
        finish(None)
        return result

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        finish = _begun(begin, args, kwargs)
        try:
            inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
            thrown: BaseException | None
            try:
                value = await anext(inner)
                while True:  # there is no `yield from` for these
                    sent = thrown = None
                    try:
                        sent = yield value
                    except BaseException as error:  # noqa: BLE001 - thrown in by the caller: it is the inner one's
                        thrown = error
                    # outside of the `except`: the inner one must not see an exception that is being handled here
                    if thrown is None:
                        value = await inner.asend(sent)
                    elif isinstance(thrown, GeneratorExit):
                        await inner.aclose()
                        raise thrown
                    else:
                        value = await inner.athrow(thrown)
            except StopAsyncIteration:
                pass
            finally:
                thrown = None  # it leads to this frame: such a cycle would keep both alive
        except BaseException as error:
            finish(error)
            raise
        finish(None)

    return wrapper
