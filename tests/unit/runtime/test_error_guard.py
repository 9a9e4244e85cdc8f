"""The guard: internal errors are counted and logged once in a while, and other errors pass."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Swallowed

PERSONAL = "393331234567 said hello"


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The guard's own clock, standing still."""
    clock = FakeClock(0.0)
    monkeypatch.setattr("chatvitals.runtime.error_guard.time.monotonic", clock)
    return clock


def fail(guard: ErrorGuard, error: BaseException, where: str = "reducer") -> None:
    with guard(where):
        raise error


def test_an_error_inside_is_swallowed_and_counted_by_place(swallowed: Swallowed) -> None:
    """The code behind the block goes on, and the place's count goes up."""
    guard = ErrorGuard()
    fail(guard, ValueError("a"))
    fail(guard, ValueError("b"))
    fail(guard, OSError("c"), "store")
    assert guard.errors == {"reducer": 2, "store": 1}
    assert [str(error) for error in swallowed.take("reducer")] == ["a", "b"]
    swallowed.take("store")


def test_a_fence_says_whether_it_failed(swallowed: Swallowed) -> None:
    """Code that must know can ask."""
    with ErrorGuard()("x") as good:
        pass
    with ErrorGuard()("x") as bad:
        raise ValueError
    assert (good.failed, bad.failed) == (False, True)
    swallowed.take("x")


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt(),
        SystemExit(3),
        GeneratorExit(),
        asyncio.CancelledError(),
        BaseExceptionGroup("several", [asyncio.CancelledError(), ValueError()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_mistake_of_ours_passes(error: BaseException) -> None:
    """Interrupts and cancellations are never swallowed, and not counted."""
    guard = ErrorGuard()
    with pytest.raises(type(error)) as passed:
        fail(guard, error)
    assert passed.value is error
    assert guard.errors == {}


def test_the_log_says_what_happened_in_plain_words_and_nothing_personal(
    swallowed: Swallowed, caplog: pytest.LogCaptureFixture
) -> None:
    """The text of an error may hold personal data, so only its type and place are logged."""
    fail(ErrorGuard(), ValueError(PERSONAL))
    [record] = caplog.records
    line = record.getMessage()
    assert record.levelno == logging.WARNING
    assert line.startswith("ValueError at tests.unit.runtime.test_error_guard:") or "ValueError at test_guard:" in line
    assert "in reducer. The bot is not affected" in line
    assert "393331234567" not in caplog.text
    assert record.exc_info is None
    swallowed.take("reducer")


def test_a_place_is_logged_once_a_minute(
    swallowed: Swallowed, caplog: pytest.LogCaptureFixture, steady: FakeClock
) -> None:
    """A store that is down for an hour writes sixty lines, not a million. Every error is counted."""
    guard = ErrorGuard()
    for seconds in (0.0, 0.1, 59.0, 61.0, 61.5):
        steady.now = seconds
        fail(guard, ValueError(), "store")
    assert len(caplog.records) == 2
    assert guard.errors["store"] == 5
    fail(guard, ValueError(), "elsewhere")
    assert len(caplog.records) == 3
    swallowed.take("store")
    swallowed.take("elsewhere")


def test_a_report_needs_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """A problem without an exception has a message."""
    guard = ErrorGuard()
    guard.report("store", message="the store file is locked")
    guard.report("place")
    assert guard.errors == {"store": 1, "place": 1}
    assert "the store file is locked (store)." in caplog.text
    assert "a problem in place." in caplog.text


def test_an_error_that_was_never_raised_can_be_reported(swallowed: Swallowed, caplog: pytest.LogCaptureFixture) -> None:
    """It has no place in the code, and its type is named."""
    ErrorGuard().report("x", KeyError(PERSONAL))
    assert "KeyError in x." in caplog.text
    assert "393331234567" not in caplog.text
    swallowed.take("x")


def test_taking_the_counts_starts_again_at_nothing() -> None:
    """Each count reaches the store once."""
    guard = ErrorGuard()
    guard.report("a")
    assert guard.drain() == {"a": 1}
    assert guard.drain() == {}


def test_no_count_is_lost_between_threads() -> None:
    """Any thread of the bot may report while another takes."""
    guard = ErrorGuard()
    taken = 0

    def report() -> None:
        for _ in range(500):
            guard.report("a")

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += guard.drain()["a"]
    for thread in threads:
        thread.join()
    assert taken + guard.drain()["a"] == 2000


def test_an_error_in_a_fence_within_a_fence_is_counted_at_the_inner_place(swallowed: Swallowed) -> None:
    """The place that is named is the one where it went wrong."""
    guard = ErrorGuard()
    with guard("outer"):
        fail(guard, ValueError(), "inner")
    assert guard.errors == {"inner": 1}
    swallowed.take("inner")


class TimeLimitError(Exception):
    """As Celery's soft time limit and RQ's timeout of a job."""


@pytest.fixture
def limit() -> Iterator[Callable[[], None]]:
    """A function that does what the handler of a signal does, while the signal has that handler."""

    def on_signal(*_: object) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGUSR1, on_signal)
    yield partial(signal.raise_signal, signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_04_a_time_limit_passes_the_guard(limit: Callable[[], None]) -> None:
    """It is the bot's, although it derives from `Exception` and our code has run."""
    guard = ErrorGuard()
    with pytest.raises(TimeLimitError), guard("settle"):
        limit()
    assert not guard.errors


def test_04_a_time_limit_passes_where_it_is_reported(limit: Callable[[], None]) -> None:
    """As the same object with the same context, also where our code has turned it into another error."""
    guard = ErrorGuard()
    raised: list[BaseException] = []

    def store() -> None:
        try:
            limit()
        except TimeLimitError as error:
            raised.append(error)
            raise OSError("a store that takes every error for its own") from error

    def work() -> None:
        try:
            store()
        except OSError as error:
            guard.report("store", error)

    with pytest.raises(TimeLimitError) as caught:
        work()
    assert (caught.value, caught.value.__context__) == (raised[0], None)
    assert not guard.errors


def test_an_error_of_ours_is_no_time_limit(limit: Callable[[], None], swallowed: Swallowed) -> None:
    """It has not come through the handler. Other handlers are none of functions."""
    guard = ErrorGuard()
    fail(guard, TimeLimitError())
    fail(guard, ValueError())
    assert guard.errors == {"reducer": 2}
    assert len(swallowed.take("reducer")) == 2
