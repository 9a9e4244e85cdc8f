"""Wrappers for any kind of callable that keep its signature, annotations, async-ness and exceptions."""

from __future__ import annotations

import functools
import inspect
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from types import CoroutineType
    from typing import TypeAlias

    Begin: TypeAlias = Callable[[tuple[Any, ...], dict[str, Any]], "Call"]
    """Called with the arguments of a call. Exceptions from it and from its result are dropped, and the function runs
    as if it were not wrapped.
    """

F = TypeVar("F")


class Call:
    """A call that has begun. This base does nothing with it."""

    __slots__ = ()

    def pause(self) -> None:
        """Note that the call has returned a coroutine, which runs later and perhaps in another context."""

    def resume(self) -> None:
        """Note that the coroutine begins to run."""

    def end(self, error: BaseException | None) -> None:
        """Note that the call has ended, with its exception or None."""


BEGUN: Final = Call()
"""A call whose end is of no interest."""


def wrap(function: F, begin: Begin) -> F:
    """Return `function` wrapped, so that `begin` sees each call and its result sees the call's end.

    Coroutine functions end when they have been awaited, generators when they are exhausted or closed. A function that
    returns a coroutine ends with that coroutine, as where another decorator hides the coroutine function. Methods,
    class and static methods, partials and callable objects keep working as what they are.

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


class _Fenced(Call):
    """A call whose errors, which are ours, are dropped."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def pause(self) -> None:
        with suppress(Exception):
            self._call.pause()

    def resume(self) -> None:
        with suppress(Exception):
            self._call.resume()

    def end(self, error: BaseException | None) -> None:
        with suppress(Exception):
            self._call.end(error)


def _begun(begin: Begin, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Begin a call. An error of ours leaves the function as if it were not wrapped, even where a guard is broken."""
    try:
        call = begin(args, kwargs)
    except Exception:  # noqa: BLE001 - the last guard, because the guard behind it has failed
        return BEGUN
    return call if call is BEGUN else _Fenced(call)


def _wrap_plain(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = _begun(begin, args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.end(error)
            raise
        if call is not BEGUN and inspect.iscoroutine(result):
            return _awaited_later(result, call)
        call.end(None)
        return result

    return wrapper


def _awaited_later(coroutine: CoroutineType[Any, Any, Any], call: Call) -> CoroutineType[Any, Any, Any]:
    """Return a coroutine with the name of `coroutine` that runs it and then ends the call."""

    async def awaited() -> Any:
        unawaited.detach()
        call.resume()
        try:
            result = await coroutine
        except BaseException as error:
            call.end(error)
            raise
        call.end(None)
        return result

    call.pause()
    outer = cast("CoroutineType[Any, Any, Any]", awaited())
    outer.__name__, outer.__qualname__ = coroutine.__name__, coroutine.__qualname__
    # where nobody awaits the outer coroutine, the inner one must not warn a second time
    unawaited = weakref.finalize(outer, coroutine.close)
    unawaited.atexit = False
    return outer


def _wrap_coroutine(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = _begun(begin, args, kwargs)
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            call.end(error)
            raise
        call.end(None)
        return result

    return wrapper


def _wrap_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = _begun(begin, args, kwargs)
        try:
            result = yield from function(*args, **kwargs)
        except BaseException as error:
            call.end(error)
            raise
        call.end(None)
        return result

    return wrapper


def _wrap_async_generator(function: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = _begun(begin, args, kwargs)
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
            call.end(error)
            raise
        call.end(None)

    return wrapper
