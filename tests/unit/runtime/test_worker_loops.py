"""Loops of functions are found in their bytecode, whatever the version of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.runtime import worker_loops

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.fast


def caught(work: Any) -> None:
    try:
        work()
    except ValueError as error:
        work(error)
    work()


async def awaited(work: Any) -> None:
    await work()
    await work()
    work()


async def guarded(work: Any) -> None:
    async with work() as given:
        await given
    work()


def walked(work: Any) -> None:
    for item in work:
        item()


def endless(work: Any) -> None:
    while True:
        try:
            work()
        except ValueError:
            continue


async def served(work: Any) -> None:
    async for item in work:
        await item()


async def asked(work: Any) -> None:
    while work:
        await work.pop()


@pytest.mark.parametrize("function", [caught, awaited, guarded])
def test_handlers_of_exceptions_are_no_loops(function: Callable[..., Any]) -> None:
    """Python 3.11 and 3.12 put them at the end of a function, from where they jump back."""
    assert worker_loops._loops(function.__code__) == ()


@pytest.mark.parametrize("function", [walked, endless, asked, served])
def test_loops_are_found(function: Callable[..., Any]) -> None:
    """Their functions serve many customers."""
    assert worker_loops._loops(function.__code__)
