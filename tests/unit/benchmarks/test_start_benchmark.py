"""The benchmark of a bot's start: medians of new processes, and no verdict on a busy machine."""

from __future__ import annotations

import pytest

from tests.benchmarks import start
from tests.benchmarks.start import Start


def test_budgets_of_the_start_have_a_verdict() -> None:
    """The budget stands in the sentence."""
    assert start.lines(Start(100.0, 59.0, 2.1), "") == [
        "import chatvitals adds 59 ms to the 100 ms of its dependencies. The budget of 60 ms is met.",
        "the first webhook takes 2.1 ms longer than the hundredth. The budget of 2 ms is not met.",
    ]


def test_a_busy_machine_gets_no_verdict_about_the_start() -> None:
    """The numbers are shown all the same."""
    assert start.lines(Start(100.0, 99.0, 0.5), "It was busy.") == [
        "import chatvitals adds 99 ms to the 100 ms of its dependencies.",
        "the first webhook takes 0.5 ms longer than the hundredth.",
        "It was busy.",
    ]


def test_an_import_is_compared_with_that_of_its_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round writes the bytecode and does not count."""
    seconds = iter([500.0, 900.0, 100.0, 160.0])
    later = iter(["9.0", "0.5"])
    monkeypatch.setattr(start, "_milliseconds", lambda *_: next(seconds))
    monkeypatch.setattr(start, "_run", lambda *_: next(later))
    assert start.measure(1) == Start(dependencies=100.0, added=60.0, first=0.5)


@pytest.mark.slow
def test_the_start_is_measured_in_new_processes() -> None:
    """A difference may have either sign on a busy machine, so only the whole is checked."""
    assert start.measure(1).dependencies > 0
