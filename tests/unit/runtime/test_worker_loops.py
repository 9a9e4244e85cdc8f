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


def taken(jobs: Any, work: Any) -> None:
    while job := jobs.get():
        work(job)


async def awaited_job(jobs: Any, work: Any) -> None:
    while True:
        await work(await jobs.get(timeout=5))


def iterated(jobs: Any, work: Any) -> None:
    for job in iter(jobs.get, None):
        work(job)


def asked_for(client: Any, answer: Any) -> None:
    while not answer.get("paid"):
        answer = client.get("https://bank.example/", timeout=5)


def tried(client: Any, text: str) -> None:
    for attempt in range(3):
        client.send(text, attempt)


@pytest.mark.parametrize("function", [taken, awaited_job, iterated])
def test_loops_over_a_queue_are_found(function: Callable[..., Any]) -> None:
    """They may be anywhere on the stack."""
    assert worker_loops._queue_loops(function.__code__)


@pytest.mark.parametrize("function", [asked_for, tried])
def test_loops_of_a_job_go_over_no_queue(function: Callable[..., Any]) -> None:
    """Dictionaries and HTTP clients have a `get`, too."""
    assert worker_loops._queue_loops(function.__code__) == ()
