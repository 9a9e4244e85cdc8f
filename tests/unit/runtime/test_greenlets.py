"""Waits in processes where gevent or eventlet has replaced threads."""

from __future__ import annotations

import sys
import threading
import types
from contextlib import suppress

import pytest

from chatvitals.runtime import greenlets

pytestmark = pytest.mark.fast


def test_greenlets_are_found_whenever_threads_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gevent may replace them in a worker, after the import. A wrapped sleep alone says nothing."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    assert greenlets.has_real_threads()
    monkeypatch.setattr("_thread.start_new_thread", lambda *_: 0)
    assert not greenlets.has_real_threads()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A process whose threads are greenlets of a package, and whose `time.sleep` is still the system's."""
    sleeps: list[float] = []
    found = types.ModuleType("greenlets")
    found.sleep = sleeps.append  # type: ignore[attr-defined]  # as in gevent and eventlet

    def start_new_thread() -> None:
        """Start a greenlet."""

    start_new_thread.__module__ = "greenlets.thread"
    monkeypatch.setitem(sys.modules, "greenlets", found)
    monkeypatch.setattr("_thread.start_new_thread", start_new_thread)
    monkeypatch.setattr("time.sleep", pytest.fail)
    return sleeps


def test_a_greenlet_sleeps_so_that_others_go_on(slept: list[float]) -> None:
    """Whatever `time.sleep` is. With gevent's `patch_all(time=False)` it would stop them all."""
    greenlets.sleep(0.3)
    assert slept == [0.3]


def test_a_greenlet_waits_for_a_lock_in_sleeps(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    """The greenlet that holds the lock goes on in them. A lock of the system would stop both for ever."""
    lock = threading.Lock()
    lock.acquire()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            lock.release()

    monkeypatch.setattr(sys.modules["greenlets"], "sleep", sleep)
    with greenlets.holding(lock):
        assert len(slept) == 3
        assert lock.locked()
    assert not lock.locked()


def test_a_thread_waits_for_a_lock_as_threads_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no sleep, and an error releases the lock."""
    monkeypatch.setattr("time.sleep", pytest.fail)
    lock = threading.Lock()
    with suppress(ValueError), greenlets.holding(lock):
        raise ValueError
    assert not lock.locked()
