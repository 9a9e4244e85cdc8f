"""Wrappers for any kind of callable that keep its signature, annotations, async-ness and exceptions."""

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
    """Called with the arguments of a call. It returns a function for the end of the call, which gets its exception or
    None. Exceptions from either are dropped, and the function runs as if it were not wrapped.
    """

F = TypeVar("F")


def wrap(function: F, begin: Begin) -> F:
    """Return `function` wrapped, so that `begin` sees each call and its result sees the call's end.

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
    if inspect.iscoroutinefunction(kind) or inspect.iscoroutinefunction(target):  # an object may have the mark
        wrapped = _wrap_coroutine(target, begin)
    elif inspect.isasyncgenfunction(kind):
        wrapped = _wrap_async_generator(target, begin)
    elif inspect.isgeneratorfunction(kind):
        wrapped = _wrap_generator(target, begin)
    else:
        wrapped = _wrap_plain(target, begin)
    if not hasattr(target, "__name__"):  # partials and callable objects have no name, but frameworks show it
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
    """Return the function that runs when `function` is called, below partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _begun(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Finish:
    """Begin a call. An error of ours leaves the function as if it were not wrapped, even where a guard is broken."""
    try:
        finish = begin(args, kwargs)
    except Exception:  # noqa: BLE001 - the last guard, because the guard behind it has failed
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
                while True:  # `yield from` does not exist for async generators
                    sent = thrown = None
                    try:
                        sent = yield value
                    except BaseException as error:  # noqa: BLE001 - thrown in by the caller for the inner generator
                        thrown = error
                    # outside of the `except`: the inner generator must not see an exception that is being handled here
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
                thrown = None  # the exception refers to this frame, and such a cycle would keep both alive
        except BaseException as error:
            finish(error)
            raise
        finish(None)

    return wrapper
