"""Measurement of handlers by `@vitals.handler("name")`: their duration and their result."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from chatvitals import context
from chatvitals.events import Handled
from chatvitals.runtime import spans
from chatvitals.tracking.decorators import Call, is_generator, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.runtime.spans import ActiveSpan
    from chatvitals.tracking.contact_lookup import ContactResolver

    F = TypeVar("F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any])


def measured(function: F, name: str, emit: Callable[[Handled], None], whose: ContactResolver, guard: ErrorGuard) -> F:
    """Return `function` wrapped so that each call is measured: seconds, and ok, error or cancelled.

    Inside a trace each call is the current span. A call of a generator is not, because its caller runs between two
    of its values.
    """
    stays = not is_generator(function)
    qualified = _qualified_name(function)

    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        number = ""
        with guard("handler"):
            person = context.current() or whose.in_arguments((*args, *kwargs.values()))
            number = person.phone_number_id if person is not None else ""
        span = spans.start_handler(name, qualified)
        if span is not None and stays:
            span.enter()
        return _Measurement(name, number, span, emit, guard)

    return wrap(function, begin)


class _Measurement(Call):
    """The measurement of one call."""

    __slots__ = ("_emit", "_guard", "_name", "_number", "_span", "_started")

    def __init__(
        self, name: str, number: str, span: ActiveSpan | None, emit: Callable[[Handled], None], guard: ErrorGuard
    ) -> None:
        self._name = name
        self._number = number
        self._span = span
        self._emit = emit
        self._guard = guard
        self._started = perf_counter()

    def pause(self) -> None:
        """Give the caller its own span back. The time in between does not count."""
        if self._span is not None:
            self._span.leave()
        self._started -= perf_counter()

    def resume(self) -> None:
        if self._span is not None:
            self._span.enter()
        self._started += perf_counter()

    def end(self, error: BaseException | None) -> None:
        with self._guard("handler"):
            seconds = perf_counter() - self._started
            trace = b"" if self._span is None else spans.packed(self._span.span)
            result = _result(error)
            self._emit(
                Handled(phone_number_id=self._number, handler=self._name, seconds=seconds, result=result, trace=trace)
            )
            spans.end_handler(self._span, error if result == "error" else None)


def _qualified_name(function: Any) -> str:
    """Return the name of a function with its module, as tracing tools show it."""
    target = getattr(function, "__func__", function)
    name = getattr(target, "__qualname__", type(target).__qualname__)
    return f"{getattr(target, '__module__', '')}.{name}"


def _result(error: BaseException | None) -> Literal["ok", "error", "cancelled"]:
    if error is None:
        return "ok"
    asyncio = sys.modules.get("asyncio")  # a bot on threads imports none of it
    if asyncio is not None and isinstance(error, asyncio.CancelledError):
        return "cancelled"
    # the cancellation of trio and anyio is recognised by its name, so that neither is imported
    if isinstance(error, GeneratorExit) or type(error).__name__ == "Cancelled":
        return "cancelled"
    return "error"
