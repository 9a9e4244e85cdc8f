"""Wrapping a callable of any kind so that it stays what it was: signature, annotations, async-ness, exceptions."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import TypeAlias

    Finish: TypeAlias = Callable[[BaseException | None], None]
    Begin: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], Finish]
    """Called with the arguments of a call; returns what to call with its exception, or None, when it is over.
    Neither may raise."""

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
    if inspect.iscoroutinefunction(kind):
        wrapped = _wrap_coroutine(target, begin)
    elif inspect.isasyncgenfunction(kind):
        wrapped = _wrap_async_generator(target, begin)
    elif inspect.isgeneratorfunction(kind):
        wrapped = _wrap_generator(target, begin)
    else:
        wrapped = _wrap_plain(target, begin)
    return wrapped  # type: ignore[no-any-return]


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what runs when `function` is called, below partials and callable objects."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def _wrap_plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        finish = begin(args, kwargs)
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
        finish = begin(args, kwargs)
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
        finish = begin(args, kwargs)
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
        finish = begin(args, kwargs)
        inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        try:
            try:
                value = await anext(inner)
                while True:  # there is no `yield from` for these
                    try:
                        sent = yield value
                    except GeneratorExit:
                        raise
                    except BaseException as error:  # noqa: BLE001 - thrown in by the caller: it is the inner one's
                        value = await inner.athrow(error)
                    else:
                        value = await inner.asend(sent)
            except StopAsyncIteration:
                pass
            finally:
                await inner.aclose()
        except BaseException as error:
            finish(error)
            raise
        finish(None)

    return wrapper
