"""What waits is committed before a process ends itself by a signal. No handler of a signal is touched."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chatvitals.runtime import exit_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.fast


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The events in their order. The test's stand-in raises no signal."""
    events: list[object] = []
    monkeypatch.setattr(exit_signals, "_closers", [])
    monkeypatch.setattr(exit_signals, "_original", None)
    monkeypatch.setattr(signal, "raise_signal", events.append)
    return events


@pytest.fixture
def default() -> Iterator[None]:
    """SIGTERM ends the process, as by default."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def close(raised: list[object]) -> Iterator[Callable[[], None]]:
    """Register a function that notes its call."""

    def closing() -> None:
        raised.append("closed")

    exit_signals.register(closing)
    yield closing
    exit_signals.unregister(closing)


@pytest.mark.usefixtures("default", "close")
def test_31_what_is_open_is_closed_before_the_signal(raised: list[object]) -> None:
    """The signal follows, whatever happens to us."""

    def fail() -> None:
        raise OSError

    exit_signals.register(fail)
    signal.raise_signal(signal.SIGTERM)
    exit_signals.unregister(fail)
    assert raised == ["closed", signal.SIGTERM]


@pytest.mark.usefixtures("close")
def test_a_signal_that_ends_no_process_closes_nothing(raised: list[object], default: None) -> None:
    """The bot has a handler, ignores the signal, blocks it, or it only tells of a child."""
    signal.raise_signal(signal.SIGCHLD)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    signal.raise_signal(signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    for handler in (signal.SIG_IGN, lambda *_: None):
        signal.signal(signal.SIGTERM, handler)
        signal.raise_signal(signal.SIGTERM)
    assert raised == [signal.SIGCHLD, signal.SIGTERM, signal.SIGTERM, signal.SIGTERM]


def test_wrong_arguments_are_the_system_s_to_refuse() -> None:
    """They raise as bare."""

    def closing() -> None:
        raise AssertionError

    exit_signals.register(closing)
    try:
        with pytest.raises(TypeError):
            signal.raise_signal()  # type: ignore[call-arg]  # what is tested
        with pytest.raises(TypeError):
            signal.raise_signal("TERM")  # type: ignore[arg-type]  # as above
        with pytest.raises(TypeError):
            signal.raise_signal([])  # type: ignore[arg-type]  # as above
    finally:
        exit_signals.unregister(closing)


def test_nothing_is_left_behind() -> None:
    """The function is the original again, unless somebody has replaced it since."""
    bare = signal.raise_signal
    for _ in range(2):
        exit_signals.register(print)
        assert signal.raise_signal is not bare
        exit_signals.register(repr)  # type: ignore[arg-type]  # it is never called
        exit_signals.unregister(print)
        assert signal.raise_signal is not bare
        exit_signals.unregister(repr)  # type: ignore[arg-type]  # as above
        assert signal.raise_signal is bare
    exit_signals.unregister(print)


def test_a_later_patch_of_another_library_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wrap ours, which then only passes the signal on."""
    monkeypatch.setattr(exit_signals, "_closers", [])
    monkeypatch.setattr(exit_signals, "_original", None)
    monkeypatch.setattr(signal, "raise_signal", exit_signals._bare)
    exit_signals.register(print)
    ours = signal.raise_signal

    def theirs(number: int) -> None:
        ours(number)

    monkeypatch.setattr(signal, "raise_signal", theirs)
    exit_signals.unregister(print)
    exit_signals.register(print)
    assert signal.raise_signal is theirs
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    signal.raise_signal = ours
    exit_signals.unregister(print)
    assert seen == [signal.SIGUSR1]


def test_31_a_process_commits_before_it_ends_itself() -> None:
    """A real process, whose store tells of its end."""
    code = (
        "import signal, chatvitals; vitals = chatvitals.init(store='memory:', hooks=False); "
        "vitals.store.close = lambda: print('closed', flush=True); signal.raise_signal(signal.SIGTERM)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert (ended.returncode, ended.stdout) == (-signal.SIGTERM, "closed\n")
