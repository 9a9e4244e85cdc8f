"""Spans of handlers: the current ones while the handler runs, and never longer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry.trace import StatusCode, get_current_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatvitals.vitals import Vitals
    from tests.helpers.tracing import Traced


def test_a_handler_is_a_span_with_its_code(start: Callable[..., Vitals], traced: Traced) -> None:
    """What it does is below it, and what comes after it is not."""

    @start().handler("menu")
    def show_menu() -> int:
        return get_current_span().get_span_context().span_id

    with traced.tracer.start_as_current_span("request") as request:
        inside = show_menu()
        assert get_current_span() is request
    span = traced.span("handler menu")
    assert span.context.span_id == inside
    assert dict(span.attributes or {}) == {
        "code.function.name": f"{__name__}.{show_menu.__qualname__}",
        "chatvitals.handler": "menu",
    }


def test_a_coroutine_is_a_span_until_it_has_been_awaited(start: Callable[..., Vitals], traced: Traced) -> None:
    """Two of them at once do not see each other."""

    @start().handler("menu")
    async def show_menu() -> int:
        await asyncio.sleep(0)
        return get_current_span().get_span_context().span_id

    async def both() -> tuple[int, int]:
        return await asyncio.gather(show_menu(), show_menu())

    with traced.tracer.start_as_current_span("request"):
        inside = asyncio.run(both())
    assert sorted(inside) == sorted(span.context.span_id for span in traced.spans if span.name == "handler menu")


def test_an_error_tells_its_type_alone(start: Callable[..., Vitals], traced: Traced) -> None:
    """The text of an exception may quote the customer."""

    @start().handler("menu")
    def fail() -> None:
        raise KeyError("393331234567")

    with traced.tracer.start_as_current_span("request"), pytest.raises(KeyError):
        fail()
    span = traced.span("handler menu")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "KeyError"
    assert "393331234567" not in span.to_json()


def test_between_two_values_of_a_generator_its_caller_s_span_is_current(
    start: Callable[..., Vitals], traced: Traced
) -> None:
    """The caller's work is not the handler's."""

    @start().handler("menu")
    def pages() -> Iterator[int]:
        yield 1
        yield 2

    with traced.tracer.start_as_current_span("request") as request:
        for _ in pages():
            assert get_current_span() is request
    assert traced.span("handler menu").end_time is not None


def test_without_a_trace_no_span_is_made(start: Callable[..., Vitals], traced: Traced) -> None:
    """A handler that a timer calls begins no trace."""

    @start().handler("menu")
    def show_menu() -> None:
        """Do nothing."""

    show_menu()
    assert traced.spans == ()


def test_until_a_hidden_coroutine_is_awaited_its_caller_s_span_is_current(
    start: Callable[..., Vitals], traced: Traced
) -> None:
    """A plain function may return the coroutine of another one, and the caller may start it as a task."""

    async def show_menu() -> int:
        return get_current_span().get_span_context().span_id

    async def request() -> tuple[int, int]:
        task = asyncio.create_task(start().handler("menu")(lambda: show_menu())())  # noqa: PLW0108 - hides the function
        outside = get_current_span().get_span_context().span_id
        return await task, outside

    with traced.tracer.start_as_current_span("request"):
        inside, outside = asyncio.run(request())
    names = {span.context.span_id: span.name for span in traced.spans}
    assert (names[inside], names[outside]) == ("handler menu", "request")
